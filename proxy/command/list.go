package command

func listCommands() []*Spec { return nil }
