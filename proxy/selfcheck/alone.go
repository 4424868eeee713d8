package selfcheck

// alone reports that a server is looked at without a channel, as from the command line: there are no settings to change.
func (t *target) alone() bool { return t.ch.Name == "" }

// either is what to say of a channel, or else where there is none.
func (t *target) either(ofChannel, alone string) string {
	if t.alone() {
		return alone
	}
	return ofChannel
}

func (t *target) noneToPresent() string {
	return t.either("and the channel has none to present.", "and none was given to present.")
}

func (t *target) register(what string) string {
	return t.either("Register ", "Name ") + what
}
