package command

func hyperloglogCommands() []*Spec { return nil }
