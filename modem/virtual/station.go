package virtual

import (
	"context"
	"fmt"
	"strings"

	"github.com/tipring/tipring/t30"
)

// heardStation is what the frames of one signal tell of the far end.
type heardStation struct {
	id, kind      string // CSI, TSI or CIG, and which of them
	nsf           []byte
	sub, sep, pwd string
}

// heard takes notice of a frame of the far end. The exchange is locked.
func (f *faxCall) heard(fr t30.Frame) {
	t := &f.m.set.t2
	switch fcf := fr.FCF(); fcf {
	case t30.FcfCSI, t30.FcfTSI, t30.FcfCIG:
		f.far.id = digits20(fr.FIF())
		f.far.kind = map[t30.FCF]string{t30.FcfCSI: f.d.csi, t30.FcfTSI: f.d.tsi, t30.FcfCIG: f.d.cig}[fcf]
	case t30.FcfNSF:
		f.far.nsf = fr.FIF()
	case t30.FcfSUB:
		f.far.sub = digits20(fr.FIF())
	case t30.FcfSEP:
		f.far.sep = digits20(fr.FIF())
	case t30.FcfPWD, t30.FcfSID:
		f.far.pwd = digits20(fr.FIF())
	case t30.FcfDIS:
		if f.caller {
			f.report(f.d.dis, fr, false, t.nr[0])
			if dis(fr.FIF()).bit(disPoll) {
				f.reports = append(f.reports, f.d.poll)
			}
			f.tellIfBusy()
		}
	case t30.FcfDTC:
		f.report(f.d.dtc, fr, false, t.nr[0])
	case t30.FcfDCS:
		f.line.tcf = true
		f.report(f.d.dcs, fr, true, t.nr[1])
	case t30.FcfMPS, t30.FcfEOM, t30.FcfEOP, t30.FcfPRM, t30.FcfPRE, t30.FcfPRP:
		f.postMessage(fcf)
	case t30.FcfPPS:
		if p := fr.FIF(); len(p) > 0 && p[0] != 0 {
			f.postMessage(t30.FCF(p[0] &^ 0x01)) // without the X bit
		}
	}
}

// tellIfBusy gives the reports of a DIS that comes while the DTE waits: after EOM.
func (f *faxCall) tellIfBusy() {
	if _, ok := f.m.act.(*waiting); ok && f.follow != 0 {
		f.tell()
	}
}

// report words a DIS, DTC or DCS and what came with it: the reports of the signal, in place of those of the one before.
func (f *faxCall) report(prefix string, fr t30.Frame, isDCS bool, numbers bool) {
	t := &f.m.set.t2
	f.reports = nil
	add := func(on bool, format string, args ...any) {
		if on {
			f.reports = append(f.reports, fmt.Sprintf(format, args...))
		}
	}
	h := &f.far
	if f.d.inband {
		add(t.nr[3] && h.nsf != nil, "+FNF:%s", hexes(h.nsf))
	} else {
		add(h.nsf != nil && t.bug, "+FNSF: \"%s\"", hexes(h.nsf))
	}
	add(t.nr[2] && h.kind != "", "%s%s", h.kind, ident(h.id))
	if f.d.subaddress {
		add(h.sub != "" && t.ap[0], "+FSA:%s", ident(h.sub))
		add(h.sep != "" && t.ap[1], "+FPA:%s", ident(h.sep))
		add(h.pwd != "" && t.ap[2], "+FPW:%s", ident(h.pwd))
	}
	p := dis(fr.FIF()).params(isDCS, f.d.wide)
	add(numbers, "%s%s", prefix, f.d.numbers(p, f.m.hex(f.d)))
	if isDCS {
		t.dcs = p
	}
	f.far = heardStation{}
}

// mayTrain holds a DCS back that follows RTN or RTP until the DTE orders the next page: it may want other parameters.
func (f *faxCall) mayTrain(ctx context.Context, last t30.Frame) error {
	if last.FCF() != t30.FcfDCS {
		return nil
	}
	return f.await(ctx, func() bool { return !f.retrain || f.fdt })
}

// answered turns RTN into RTP: with both the engine trains and goes on with the next page; which one that is after RTN, the refused one or the
// one after it, is the DTE's affair.
func (f *faxCall) answered(fr t30.Frame) t30.Frame {
	if !f.sending {
		return fr
	}
	switch fr.FCF() {
	case t30.FcfRTN:
		f.retrain, f.refused = true, true
		return t30.NewFrame(t30.FcfRTP, fr.X(), true)
	case t30.FcfRTP:
		f.retrain = true
	}
	return fr
}

// sent takes notice of a signal of the modem that begins. The exchange is locked.
func (f *faxCall) sent(last t30.Frame) {
	if last.FCF() == t30.FcfDCS {
		f.far.kind, f.far.nsf = "", nil
		f.report(f.d.dcs, last, true, f.m.set.t2.nr[1])
		f.carrier = nil
		if d := dis(last.FIF()); d.bit(disECM) {
			f.carrier, _ = modulationOf(dcsModulations[d.bits(11, 4)])
		}
	}
}

// sentOut takes notice of a signal that is over.
func (f *faxCall) sentOut(last t30.Frame) {
	if last.FCF() == t30.FcfCFR && f.d.cfr != "" && f.fdr && f.current() {
		f.m.info(f.d.cfr)
	}
}

// digits20 reads the field of CSI and the like: last digit first.
func digits20(fif []byte) string {
	b := make([]byte, 0, 20)
	for i := len(fif) - 1; i >= 0 && len(b) < 20; i-- {
		if c := fif[i]; c >= ' ' && c < 0x7F && c != '"' {
			b = append(b, c)
		} else {
			b = append(b, ' ')
		}
	}
	return strings.TrimSpace(string(b))
}

// hexes words octets as T.32 does.
func hexes(b []byte) string {
	s := make([]string, 0, len(b))
	for _, c := range b {
		s = append(s, fmt.Sprintf("%02X", c))
	}
	return strings.Join(s, " ")
}
