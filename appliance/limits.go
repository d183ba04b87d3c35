package appliance

// LimitsConfig bounds what one sender may cause, whoever's host the mail comes from.
type LimitsConfig struct {
	MailsPerSender int `toml:"mails_per_sender"` // to be faxed, in an hour; each ends in a notice to its sender
}

func (l LimitsConfig) validate(v *faults) {
	v.need(l.MailsPerSender >= 1 && l.MailsPerSender <= 1_000_000, "limits.mails_per_sender = %d: use 1 to 1000000", l.MailsPerSender)
}
