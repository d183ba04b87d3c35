package t30test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tipring/tipring/t30"
)

// signal makes what a step sends.
func (p *player) signal(st *step) *Signal {
	im := st.image
	switch st.do {
	case sendTone:
		if st.tone == SignalV21 {
			return &Signal{Kind: SignalV21, Lead: st.length}
		}
		return &Signal{Kind: st.tone, Length: st.length}
	case sendFrames:
		return p.frames(st.frames[0], st.lead)
	case sendEcho:
		return p.echo()
	case sendTCF:
		d := st.length
		if d == 0 {
			d = 1500 * time.Millisecond
		}
		return &Signal{Kind: SignalCarrier, Mod: im.mod.mod, Octets: trainingCheck(im, d), Untrained: im.untrained, Cut: im.cut}
	case sendPage:
		return p.pageSignal(im)
	}
	return p.blockSignal(im)
}

func (p *player) frames(specs []frameSpec, lead time.Duration) *Signal {
	s := &Signal{Kind: SignalV21, Lead: lead}
	for i := range specs {
		s.Frames = append(s.Frames, specs[i].build(p.x, i == len(specs)-1))
	}
	return s
}

// echo makes the device's last frames again, what an unbalanced line or a slow satellite hop gives back.
func (p *player) echo() *Signal {
	s := &Signal{Kind: SignalV21}
	if p.far != nil {
		s.Frames = p.far.Frames
	}
	return s
}

// trainingCheck makes the octets of a TCF.
func trainingCheck(im imageSpec, d time.Duration) []byte {
	out := make([]byte, int(d.Seconds()*float64(im.mod.mod.Rate)/8))
	for i := range out {
		switch {
		case im.content == "ones":
			out[i] = 0xff
		case im.content == "alternate":
			out[i] = 0x55
		case im.errors > 0 && int(float64(i+1)*im.errors) > int(float64(i)*im.errors):
			out[i] = 0x10
		}
	}
	return out
}

// pageNumber is the page that a step is about: the next unless it names one.
func pageNumber(im imageSpec, last *int) int {
	*last++
	if im.page > 0 {
		*last = im.page
	}
	return *last
}

// pageSignal makes a page without ECM.
func (p *player) pageSignal(im imageSpec) *Signal {
	n := pageNumber(im, &p.page)
	var data []byte
	if !im.empty {
		data = MakePage(uint64(1000+n), im.lines)
	}
	if fill := int(im.fill.Seconds() * float64(im.mod.mod.Rate) / 8 / lineOctets); fill > 0 {
		half := len(data) / lineOctets / 2 * lineOctets
		data = slices.Concat(data[:half], make([]byte, fill*lineOctets), data[half:])
	}
	for i := range im.lines {
		if !im.empty && int(float64(i+1)*im.badLines) > int(float64(i)*im.badLines) {
			data[i*lineOctets] ^= 0x5a
		}
	}
	if !im.empty && !im.noRTC {
		data = append(data, MakeRTC()...)
	}
	p.d.sent[n] = data
	return &Signal{Kind: SignalCarrier, Mod: im.mod.mod, Octets: data, Untrained: im.untrained, Cut: im.cut}
}

// blockOctets is where the data of frame n of a block lies in its page.
func (im imageSpec) blockOctets(block, n int) (from, to int) {
	from = (block*256 + n) * im.size
	return from, from + im.size
}

// blockSignal makes an ECM block (T.30 A.3).
func (p *player) blockSignal(im imageSpec) *Signal {
	page, block := p.tx.next(im)
	p.page = page
	_, end := im.blockOctets(block, im.list[len(im.list)-1])
	data := MakePage(uint64(1000+page), (end+lineOctets-1)/lineOctets)
	if len(data) > len(p.d.sent[page]) {
		p.d.sent[page] = data
	}
	s := &Signal{Kind: SignalBlock, Mod: im.mod.mod, Untrained: im.untrained, Cut: im.cut}
	for _, i := range im.list {
		from, to := im.blockOctets(block, i)
		f := t30.Frame(append([]byte{0xff, 0x03, 0x06, byte(i)}, data[from:to]...))
		s.Frames = append(s.Frames, SignalFrame{Frame: f, Bad: slices.Contains(im.bad, i)})
	}
	for range im.rcp {
		s.Frames = append(s.Frames, SignalFrame{Frame: t30.Frame{0xff, 0x03, 0x86}})
	}
	return s
}

// partial tells which page and block of one direction is on the line: PPS (or EOR) and the answer that confirms it
// lead to the next.
type partial struct {
	page, block int
	command     string // the last PPS or EOR, without an answer yet
	fresh       bool   // a block was on the line since the last answer
}

// next is the page and block that a step is about.
func (c *partial) next(im imageSpec) (page, block int) {
	c.command, c.fresh = "", true
	if c.page == 0 {
		c.page = 1
	}
	if im.page > 0 && im.page != c.page {
		c.page, c.block = im.page, 0
	}
	if im.block >= 0 {
		c.block = im.block
	}
	return c.page, c.block
}

// commanded and answered take what each side says after a block.
func (c *partial) commanded(name string) {
	if c.fresh && (strings.HasPrefix(name, "PPS-") || strings.HasPrefix(name, "EOR-")) {
		c.command = name
	}
}

func (c *partial) answered(name string) {
	if c.command == "" || name != "MCF" && name != "ERR" {
		return
	}
	if strings.HasSuffix(c.command, "-NULL") {
		c.block++
	} else {
		c.page, c.block = c.page+1, 0
	}
	c.command, c.fresh = "", false
}

// send sends a step's signal.
func (p *player) send(st *step) error {
	if (st.tone == SignalCED || st.tone == SignalCNG) && !p.t.Tones() {
		return nil
	}
	if st.image.hangup > 0 {
		return p.sendAndHangUp(st)
	}
	p.wait(st)
	return p.put(p.signal(st), st.do == sendEcho)
}

// put puts a signal on the line. What the tester's own frames change, an echo does not.
func (p *player) put(s *Signal, echo bool) error {
	for _, f := range s.Frames {
		if f.Bad || s.Kind != SignalV21 || echo {
			continue
		}
		name := frameName(f.Frame)
		if name == "DIS" {
			p.x = false // the device hears it
		}
		p.tx.commanded(name)
		p.rx.answered(name)
	}
	s.Start = time.Now()
	p.note(">", s)
	err := p.t.Send(p.ctx, s)
	p.own = time.Now()
	if errors.Is(err, t30.ErrHungUp) && (p.hook || p.farDCN()) {
		return nil
	}
	if errors.Is(err, t30.ErrHungUp) {
		return fmt.Errorf("expected the line up, seen the device hang up")
	}
	return err
}

// farDCN tells whether the device has said good-bye.
func (p *player) farDCN() bool {
	if p.far == nil || p.far.Kind != SignalV21 || len(p.far.Frames) == 0 {
		return false
	}
	return frameName(p.far.Frames[len(p.far.Frames)-1].Frame) == "DCN"
}

// sendAndHangUp sends a part of a carrier and goes on hook in it.
func (p *player) sendAndHangUp(st *step) error {
	part := st.image.hangup
	st.image.hangup, st.image.cut = 0, part
	p.wait(st)
	if err := p.put(p.signal(st), false); err != nil {
		return err
	}
	p.gone = true
	return p.t.Hangup()
}
