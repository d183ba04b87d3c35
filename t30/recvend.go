package t30

import (
	"errors"
)

// afterEOM waits T2 for a repeated command, then goes back to phase B (T.30 5.3.6.1.6).
func (c *call) afterEOM() place {
	err := c.await(timerT2EOM, FcfEOM, FcfPRE, FcfPPS, FcfEOR, FcfRR, FcfDCS, FcfDTC, FcfCRP)
	switch {
	case errors.Is(err, ErrTimeout):
		if c.caller {
			return placeAsk
		}
		return placeOffer
	case err != nil:
		return c.broken(err)
	case c.sig.fcf == FcfDCN:
		c.received()
		return placeEnd
	case c.sig.fcf == FcfDCS:
		return placeSettings
	case c.sig.fcf == FcfDTC:
		c.tx.docs = c.s.Send
		return placeChoose
	}
	return c.againIfSame(placeAfterEOM)
}

// afterEOP waits for DCN. The call is done whether it comes or not.
func (c *call) afterEOP() place {
	err := c.awaitCommand(timerT2, FcfEOP, FcfPRP, FcfPPS, FcfEOR, FcfRR, FcfDCS, FcfCRP)
	switch {
	case errors.Is(err, ErrTimeout), errors.Is(err, ErrHungUp):
		c.received()
		return placeEnd
	case err != nil:
		c.received()
		return c.broken(err)
	case c.sig.fcf == FcfDCN:
		c.received()
		return placeEnd
	case c.sig.fcf == FcfDCS:
		return placeSettings
	}
	return c.againIfSame(placeAfterEOP)
}

// received is the outcome of a call in which all announced pages came.
func (c *call) received() {
	if c.rx.holes > 0 {
		c.end(CodeECMGivenUp, "%d pages have holes", c.rx.holes)
		return
	}
	if c.rx.skipped > 0 {
		c.end(CodePageRefused, "%d pages were refused and did not come again", c.rx.skipped)
		return
	}
	c.end(CodeOK, "")
}

// again repeats an answer that the far end did not hear, a few times.
func (c *call) again(answer FCF, stay place) place {
	r := &c.rx
	if r.repeats++; r.repeats > maxRepeats {
		return c.bye(CodeProtocol, "%v again and again", c.sig.fcf)
	}
	r.cmdEnd, c.nominal = c.sig.at, true
	if err := c.reply(answer); err != nil {
		if stay == placeAfterEOP && errors.Is(err, ErrHungUp) { // it had our answer
			c.received()
		}
		return c.broken(err)
	}
	return stay
}

// againIfSame is again for the end of a document. A PPS or EOR gets its own answer again, not that of another: MCF would confirm a
// block that never came.
func (c *call) againIfSame(stay place) place {
	r := &c.rx
	same := true
	switch f := c.sig.fif; c.sig.fcf {
	case FcfEOR:
		same = r.answer == FcfERR
	case FcfPPS:
		same = r.answer == FcfMCF && r.ecm.done && len(f) >= 4 && r.ecm.ppsID == [3]byte{byte(fcfOf(f[0])), f[1], f[2]}
	}
	if same {
		return c.again(r.answer, stay)
	}
	if r.repeats++; r.repeats > maxRepeats {
		return c.bye(CodeProtocol, "%v of a block that never came", c.sig.fcf)
	}
	return stay
}
