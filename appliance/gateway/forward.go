package gateway

// ForwardedSender is the MAIL FROM for mail of a sender that is sent on from here: an address of ours that leads back to the
// sender (SRS), so that SPF passes, or without SRS the sender's own. The null sender stays. The day is in it: call it once
// for a mail and keep the answer. Errors: srs.ErrTooLong, and of what is no address.
func (g *Gateway) ForwardedSender(sender string) (string, error) {
	if g.o.SRS == nil {
		return sender, nil
	}
	return g.o.SRS.Forward(sender)
}
