package command

func streamCommands() []*Spec { return nil }
