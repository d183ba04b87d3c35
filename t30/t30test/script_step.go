package t30test

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// stepLine reads a line that begins with mark: >, < or ?.
func (p *scriptParser) stepLine(st step, mark string, words []string) error {
	if len(words) == 0 {
		return fmt.Errorf("%s what?", mark)
	}
	repeat := 1
	var rest []string
	for i := 0; i < len(words); i++ {
		if words[i] == "repeat" && i+1 < len(words) {
			n, err := number(words[i+1], 1, maxRepeat)
			if err != nil {
				return err
			}
			repeat = n
			i++
			continue
		}
		used, ok, err := st.common(words[i], words[i+1:])
		if err != nil {
			return err
		}
		if ok {
			i += used
			continue
		}
		rest = append(rest, words[i])
	}
	if len(rest) == 0 {
		return fmt.Errorf("%s what?", mark)
	}
	var err error
	switch mark {
	case ">":
		err = st.sends(rest)
	case "<":
		err = st.heard(rest)
	default:
		err = st.whenever(rest)
	}
	if err != nil {
		return err
	}
	for range repeat {
		p.s.steps = append(p.s.steps, st)
	}
	return nil
}

// sends reads what the tester sends.
func (st *step) sends(words []string) (err error) {
	st.lead = st.preamb.to
	switch words[0] {
	case "TCF":
		st.do, st.length = sendTCF, 0
		return st.carrier(words[1:])
	case "PAGE":
		st.do = sendPage
		return st.carrier(words[1:])
	case "BLOCK":
		st.do = sendBlock
		return st.carrier(words[1:])
	case "SILENCE", "wait", "NOISE", "CED", "FLAGS":
		if len(words) != 2 {
			return fmt.Errorf("%s: how long?", words[0])
		}
		st.length, err = span(words[1])
		st.do = map[string]action{"SILENCE": sendSilence, "wait": sendWait, "NOISE": sendTone, "CED": sendTone, "FLAGS": sendTone}[words[0]]
		st.tone = map[string]SignalKind{"NOISE": SignalNoise, "CED": SignalCED, "FLAGS": SignalV21}[words[0]]
		return err
	case "CNG":
		st.do, st.tone, st.length = sendTone, SignalCNG, 500_000_000
		return nothingMore(words[1:])
	case "ECHO":
		st.do = sendEcho
		return nothingMore(words[1:])
	case "hang-up":
		st.do = sendHangup
		return nothingMore(words[1:])
	}
	st.do = sendFrames
	frames, err := frameList(words)
	if err != nil {
		return err
	}
	for _, f := range frames {
		if f.absent {
			return fmt.Errorf("! has no meaning for what is sent")
		}
	}
	st.frames = [][]frameSpec{frames}
	return nil
}

func nothingMore(words []string) error {
	if len(words) > 0 {
		return fmt.Errorf("%q has no meaning here", words[0])
	}
	return nil
}

// heard reads what the device must send.
func (st *step) heard(words []string) (err error) {
	switch words[0] {
	case "TCF":
		st.do = hearTCF
		return st.carrier(words[1:])
	case "PAGE":
		st.do = hearPage
		return st.carrier(words[1:])
	case "BLOCK":
		st.do = hearBlock
		return st.carrier(words[1:])
	case "CED", "CNG":
		st.do, st.tone = hearTone, SignalCED
		if words[0] == "CNG" {
			st.tone = SignalCNG
		}
		if len(words) == 2 {
			st.tone2, err = spanOrWindow(words[1])
			return err
		}
		return nothingMore(words[1:])
	case "nothing":
		st.do = hearNothing
		if !st.within.set {
			return fmt.Errorf("nothing for how long?")
		}
		return nothingMore(words[1:])
	case "on-hook":
		st.do = hearOnHook
		return nothingMore(words[1:])
	}
	st.do = hearFrames
	var one []string
	for _, w := range append(words, "|") {
		if w != "|" {
			one = append(one, w)
			continue
		}
		frames, err := frameList(one)
		if err != nil {
			return err
		}
		if frames[len(frames)-1].absent {
			return fmt.Errorf("the last frame must be one that is there")
		}
		st.frames = append(st.frames, frames)
		one = nil
	}
	return nil
}

// whenever reads "RNR > RR", or "RNR" alone.
func (st *step) whenever(words []string) (err error) {
	st.do = whenever
	for i, w := range words {
		if w != ">" {
			continue
		}
		when, err := frameList(words[:i])
		if err != nil {
			return err
		}
		st.frames = [][]frameSpec{when}
		st.reply, err = frameList(words[i+1:])
		return err
	}
	st.frames = make([][]frameSpec, 1)
	st.frames[0], err = frameList(words)
	return err
}

// frameList reads the frames of one signal.
func frameList(words []string) ([]frameSpec, error) {
	var out []frameSpec
	for i := 0; i < len(words); i++ {
		w := words[i]
		if w == "FRAME" {
			f := frameSpec{name: "FRAME", x: -1}
			for i+1 < len(words) {
				b, err := hex.DecodeString(words[i+1])
				if err != nil || len(f.whole) > 250 {
					break
				}
				f.whole = append(f.whole, b...)
				i++
			}
			if len(f.whole) == 0 {
				return nil, fmt.Errorf("FRAME without octets")
			}
			out = append(out, f)
			continue
		}
		if f, ok := newFrameSpec(w); ok {
			out = append(out, f)
			continue
		}
		if len(out) == 0 {
			return nil, fmt.Errorf("%q is no signal", w)
		}
		if err := out[len(out)-1].word(w); err != nil {
			return nil, err
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no frame is named")
	}
	return out, nil
}

// carrier reads what follows TCF, PAGE or BLOCK.
func (st *step) carrier(words []string) error {
	if len(words) == 0 {
		return fmt.Errorf("at which rate?")
	}
	im := &st.image
	*im = imageSpec{size: 256, rcp: 3, lines: 100, block: -1}
	var err error
	if im.mod, err = modulationOf(words[0], st.do != sendTCF && st.do != hearTCF); err != nil {
		return err
	}
	for _, w := range words[1:] {
		if err := st.carrierWord(w); err != nil {
			return err
		}
	}
	if (st.do == sendBlock || st.do == hearBlock) && im.list == nil {
		return fmt.Errorf("which frames?")
	}
	return nil
}

func (st *step) carrierWord(w string) (err error) {
	im := &st.image
	key, value, has := strings.Cut(w, "=")
	if !has {
		switch {
		case w == "untrained":
			im.untrained = true
		case w == "any":
			im.any = true
		case w == "empty":
			im.empty = true
		case w == "no-rtc":
			im.noRTC = true
		case (w == "ones" || w == "alternate") && st.do == sendTCF:
			im.content = w
		case st.do == sendTCF:
			st.length, err = span(w)
		case st.do == hearTCF:
			st.tone2, err = spanOrWindow(w)
		default:
			err = fmt.Errorf("a carrier has no %q", w)
		}
		return err
	}
	block := st.do == sendBlock || st.do == hearBlock
	switch {
	case key == "cut":
		im.cut, err = share(value)
	case key == "hang-up":
		im.hangup, err = share(value)
	case key == "errors" && st.do == sendTCF:
		im.errors, err = share(value)
	case key == "page":
		im.page, err = number(value, 1, 200)
	case key == "lines" && st.do == sendPage:
		im.lines, err = number(value, 1, 100000)
	case key == "bad" && st.do == sendPage:
		im.badLines, err = share(value)
	case key == "fill" && st.do == sendPage:
		im.fill, err = span(value)
	case key == "bad" && block:
		im.bad, err = numbers(value, 0, 255)
	case key == "block" && block:
		im.block, err = number(value, 0, 255)
	case key == "rcp" && block:
		im.rcp, err = number(value, 0, 10)
	case key == "size" && block:
		if im.size, err = number(value, 64, 256); err == nil && im.size != 64 && im.size != 256 {
			err = fmt.Errorf("a frame has 64 or 256 octets")
		}
	case key == "frames" && block:
		im.list, err = numbers(value, 0, 255)
		if err == nil && !slices.IsSorted(im.list) {
			err = fmt.Errorf("frames go from the lowest to the highest")
		}
	default:
		err = fmt.Errorf("a carrier has no %q", key)
	}
	return err
}
