package command

func sortCommands() []*Spec { return nil }
