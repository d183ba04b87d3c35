package class1

import "github.com/tipring/tipring/t30"

// noteFrame puts a frame's octets into the transcript, a password's without what it is.
func (l *line) noteFrame(f t30.Frame) {
	switch f.FCF() {
	case t30.FcfPWD, t30.FcfSID:
		l.ch.Note("frame % x and %d octets (hidden)", []byte(f[:3]), len(f)-3)
	default:
		l.ch.Note("frame % x", []byte(f))
	}
}
