package t30

import "strings"

// Trouble is a set of what came to nothing in a call although the far end announced it: something for the next call to the same
// number to do without ([Capabilities.Schemes], [Session.NoECM]).
type Trouble uint8

const (
	// TroubleV17: the far end never trained V.17, or got nothing of the pages or blocks that came with its short training.
	TroubleV17 Trouble = 1 << iota
	// TroubleECM: no frame of any block got through, also with other schemes than V.17, or PPS was never answered.
	TroubleECM
	// TroubleV34: a call over V.34 came to nothing, or one that was to be one came to no carrier.
	TroubleV34
)

// Has tells whether all of o is in t.
func (t Trouble) Has(o Trouble) bool { return t&o == o }

func (t Trouble) String() string {
	var s []string
	if t.Has(TroubleV17) {
		s = append(s, "v17")
	}
	if t.Has(TroubleECM) {
		s = append(s, "ecm")
	}
	if t.Has(TroubleV34) {
		s = append(s, "v34")
	}
	return strings.Join(s, "+")
}

// fumbles counts what was tried and what came of it.
type fumbles struct {
	checks  int     // training checks sent at V.17
	trained bool    // one of them was answered with CFR
	slow    carried // with V.27ter and V.29
	fast    carried // with V.17
}

// carried counts the carriers of pages and blocks.
type carried struct {
	sent int
	got  bool // an answer showed that something of one of them arrived
}

// vain tells whether carriers were sent for nothing; deaf: there was no answer at all, of which one is enough.
func (c carried) vain(deaf bool) bool { return !c.got && (c.sent > 1 || c.sent > 0 && deaf) }

func (t *sender) carried() *carried {
	if t.now.Modulation.Scheme == V17 {
		return &t.fumbles.fast
	}
	return &t.fumbles.slow
}

// trouble is what the call leads to suspect. V.34 is blamed before anything else.
func (c *call) trouble() Trouble {
	switch {
	case c.v34 == nil:
		return c.tx.trouble(c.rep.Code)
	case c.caller:
		return v34Trouble(c.rep.Code)
	}
	return 0
}

// trouble is what the call, which ended with code, leads to suspect. V.17 is blamed first, ECM only for what came to nothing
// without it as well.
func (t *sender) trouble(code Code) (found Trouble) {
	f, deaf := &t.fumbles, code == CodeNoReplyPage
	if f.checks > 1 && !f.trained || f.fast.vain(deaf) {
		found |= TroubleV17
	}
	if t.now.ECM && !f.fast.got && f.slow.vain(deaf) {
		found |= TroubleECM
	}
	return found
}
