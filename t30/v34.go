package t30

import "context"

// V34Line is a [Line] whose call V.8 may have brought to V.34 half-duplex (T.30 Annex F). Then SendFrames and ReceiveFrame use the control
// channel, which both ends have at once, SendBlock and ReceiveBlock the primary channel; the modem turns the line round. SendTCF,
// SendPage and ReceivePage are not called: there is no training check (F.3.2.1), and error correction is no choice (F.3).
type V34Line interface {
	Line
	// V34 returns the rates of the two channels now, in bit/s; primary is 0 in a call without V.34.
	V34() (primary, control int)
	// Slower has the next block that is sent ask for a lower primary rate, which is agreed on when the control channel comes back after
	// it (F.3.4.1).
	Slower()
}

// PlainPhone is a [Phone] that may use V.34 (Capabilities has the scheme V34) and can do without: NewTerminal calls these
// where a session rules V.34 out.
type PlainPhone interface {
	Phone
	DialPlain(ctx context.Context, number string) (Line, error)
}

// PlainRinging is [PlainPhone] for a [Ringing].
type PlainRinging interface {
	Ringing
	AnswerPlain(ctx context.Context, m AnswerMode) (Line, error)
}

// fastestPlain is the highest rate without V.34, bit/s.
const fastestPlain = 14400

// mayV34 tells whether the session lets a call be one of V.34. Polls turn the roles of the ends round, which takes a new start with V.8
// in V.34 (Figures F.5-11 and 12) that no modem is known to do for its host: they go without.
func (s Session) mayV34(answering bool) bool {
	polls := s.Poll != nil || answering && s.Send != nil
	return !polls && !s.NoECM && (s.Limit.MaxRate == 0 || s.Limit.MaxRate > fastestPlain) && (s.Limit.Schemes == 0 || s.Limit.Schemes.Has(V34))
}

// dial dials with V.34 or without, as the session allows; v34 tells that the call may be one.
func (t *lineTerminal) dial(ctx context.Context, number string, s Session) (l Line, v34 bool, err error) {
	v34 = t.phone.Capabilities().Schemes.Has(V34)
	if p, ok := t.phone.(PlainPhone); ok && v34 && !s.mayV34(false) {
		l, err = p.DialPlain(ctx, number)
		return l, false, err
	}
	l, err = t.phone.Dial(ctx, number)
	return l, v34, err
}

// answer answers with V.34 or without, as the session allows.
func (i *lineIncoming) answer(ctx context.Context, m AnswerMode, s Session) (Line, error) {
	if p, ok := i.Ringing.(PlainRinging); ok && !s.mayV34(true) {
		return p.AnswerPlain(ctx, m)
	}
	return i.Ringing.Answer(ctx, m)
}

// begunV34 is the line as one of V.34; nil if the call is none.
func begunV34(l Line) V34Line {
	if v, ok := l.(V34Line); ok {
		if rate, _ := v.V34(); rate > 0 {
			return v
		}
	}
	return nil
}

// primary is the carrier that blocks have now: m, or in V.34 the primary channel, whose rate no DCS sets (Table 2 note 33).
func (c *call) primary(m Modulation) Modulation {
	if c.v34 == nil {
		return m
	}
	rate, _ := c.v34.V34()
	return Modulation{Scheme: V34, Rate: rate}
}

// frameText is a frame for a transcript: in V.34 a DCS with the rate that it does not set.
func frameText(v V34Line, f Frame) string {
	if v == nil || f.FCF() != FcfDCS || !f.Valid() {
		return f.String()
	}
	s, _ := decodeDCS(f.FIF())
	rate, _ := v.V34()
	s.Modulation = Modulation{Scheme: V34, Rate: rate}
	return "DCS " + s.String()
}

// slowerV34 asks for a lower primary rate when half of what was sent was lost, or some of it twice, as long as it comes in time for the block: the
// next transmission is the last at the old rate. CTC is not used (F.3.4.5 note 1).
func (c *call) slowerV34(missing int) {
	e := &c.tx.ecm
	if c.v34 != nil && (missing*2 >= e.burst || e.ppr > 1) && e.ppr < maxPPR-1 {
		c.v34.Slower()
	}
}

// v34Trouble is what a call over V.34 that ended with code leads to suspect.
func v34Trouble(code Code) Trouble {
	switch code {
	case CodeNoFax, CodeHungUpB, CodeTraining, CodeDCNInB, CodeNoReplyDCS, CodeHungUpC, CodeNoReplyPage, CodeDCNAfterPage, CodeECMGivenUp, CodeProtocol:
		return TroubleV34
	}
	return 0
}
