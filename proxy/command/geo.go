package command

func geoCommands() []*Spec { return nil }
