package command

func sortedSetCommands() []*Spec { return nil }
