package virtual

// eolScan finds the end-of-line codes of T.4 4.1.2 in a page of MH or MR: what a modem has to know of image coding.
type eolScan struct {
	mr     bool
	begins bool // the page begins with EOL
	count  int  // EOLs
	run    int  // EOLs at the end with nothing between them: six are return to control
	zeros  int
	tag    bool // the bit after EOL is MR's tag
	inked  bool // code words came since the last EOL
	ones   bool
}

// push takes octets, least significant bit first.
func (e *eolScan) push(b []byte) {
	for _, c := range b {
		if c == 0 && !e.tag {
			e.zeros += 8
			continue
		}
		for i := range 8 {
			e.bit(c>>i&1 != 0)
		}
	}
}

func (e *eolScan) bit(one bool) {
	switch {
	case e.tag:
		e.tag = false
	case !one:
		e.zeros++
	case e.zeros >= 11:
		e.begins = e.begins || !e.ones
		if e.inked {
			e.run = 0
		}
		e.run++
		e.count++
		e.zeros, e.inked, e.ones, e.tag = 0, false, true, e.mr
	default:
		e.zeros, e.inked, e.ones, e.run = 0, true, true, 0
	}
}

// lines is how many lines the page has: each begins with EOL.
func (e *eolScan) lines() int { return e.count - e.run }

// returned tells whether the page ends with return to control (T.4 4.1.4).
func (e *eolScan) returned() bool { return e.run >= 6 }
