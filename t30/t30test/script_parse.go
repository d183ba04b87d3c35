package t30test

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Bounds of a script.
const (
	maxScript = 1 << 16 // octets
	maxSteps  = 2000
	maxRepeat = 50
)

// ParseScript reads a script; name is its file, for errors, which begin with "file:line: ".
func ParseScript(name string, r io.Reader) (*Script, error) {
	p := &scriptParser{s: &Script{}}
	sc := bufio.NewScanner(io.LimitReader(r, maxScript+1))
	size, begun := 0, 0
	text := ""
	flush := func() error {
		if strings.TrimSpace(text) == "" {
			return nil
		}
		p.line = begun
		if err := p.take(text); err != nil {
			return fmt.Errorf("%s:%d: %w", name, begun, err)
		}
		return nil
	}
	for n := 1; sc.Scan(); n++ {
		l := sc.Text()
		if size += len(l) + 1; size > maxScript {
			return nil, fmt.Errorf("%s: more than %d octets", name, maxScript)
		}
		if strings.HasPrefix(l, " ") || strings.HasPrefix(l, "\t") {
			text += "\n" + l
			continue
		}
		if err := flush(); err != nil {
			return nil, err
		}
		text, begun = l, n
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := flush(); err != nil {
		return nil, err
	}
	if err := p.whole(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p.s, nil
}

type scriptParser struct {
	s      *Script
	line   int
	device bool // a device line came
}

// whole checks that nothing is missing.
func (p *scriptParser) whole() error {
	switch {
	case p.s.Name == "":
		return fmt.Errorf("no case line")
	case p.s.Clause == "":
		return fmt.Errorf("no clause line")
	case !p.device:
		return fmt.Errorf("no device line")
	case len(p.s.wants) == 0:
		return fmt.Errorf("no = line: nothing is asked of the outcome")
	case !slices.ContainsFunc(p.s.steps, func(s step) bool { return s.do.hears() }):
		return fmt.Errorf("nothing is asked of the device")
	}
	return nil
}

// take takes one line, its continuations included.
func (p *scriptParser) take(text string) error {
	var words []string
	for l := range strings.SplitSeq(text, "\n") { // a comment ends with its line
		w, err := tokens(l)
		if err != nil {
			return err
		}
		words = append(words, w...)
	}
	if len(words) == 0 {
		return nil
	}
	if len(p.s.steps) >= maxSteps {
		return fmt.Errorf("more than %d steps", maxSteps)
	}
	rest := words[1:]
	switch words[0] {
	case "case":
		name, title, ok := strings.Cut(strings.TrimSpace(strings.TrimPrefix(text, "case")), ":")
		if !ok || p.s.Name != "" || strings.ContainsAny(name, " /") || name == "" {
			return fmt.Errorf("want one \"case NAME: text\"")
		}
		p.s.Name, p.s.Title = name, strings.TrimSpace(title)
	case "clause":
		p.s.Clause = strings.Join(rest, " ")
	case "device":
		return p.deviceLine(rest)
	case "document":
		return p.documentLine(rest)
	case "=":
		return p.wantLine(text, rest)
	case ">", "<", "?":
		if !p.device {
			return fmt.Errorf("a step before the device line")
		}
		st := step{line: p.line, text: strings.Join(words, " "), after: -1}
		return p.stepLine(st, words[0], rest)
	default:
		return fmt.Errorf("a line begins with case, clause, device, document, >, <, ? or =, not with %q", words[0])
	}
	return nil
}

// deviceLine reads how the device is set up.
func (p *scriptParser) deviceLine(words []string) error {
	if len(words) == 0 {
		return fmt.Errorf("device answers, or calls?")
	}
	if !p.device {
		if words[0] != "answers" && words[0] != "calls" {
			return fmt.Errorf("device answers, or calls? %q", words[0])
		}
		p.s.Answers = words[0] == "answers"
		p.device, words = true, words[1:]
	}
	d := &p.s.device
	for _, w := range words {
		if err := d.word(w); err != nil {
			return err
		}
	}
	return nil
}

func (d *deviceSpec) word(w string) (err error) {
	key, value, _ := strings.Cut(w, "=")
	texts := map[string]*string{"id": &d.id, "sep": &d.sep, "pwd": &d.pwd, "sub": &d.sub, "sid": &d.sid, "need-pwd": &d.need}
	lists := map[string]*[]string{"modulations": &d.schemes, "resolutions": &d.resolutions, "codings": &d.codings, "widths": &d.widths}
	switch {
	case texts[key] != nil:
		*texts[key], err = quoted(value)
	case lists[key] != nil:
		*lists[key] = strings.Split(value, ",")
		_, err = limits(*d)
	case key == "rate":
		d.rate, err = number(value, 2400, 33600)
	case key == "store":
		d.store, err = span(value)
	case w == "ecm=off":
		d.noECM = true
	case w == "receive=off":
		d.noReceive = true
	case w == "disk=full":
		d.full = true
	case w == "poll":
		d.poll = true
	default:
		return fmt.Errorf("a device has no %q", w)
	}
	return err
}

// documentLine reads "2 pages fine MMR lines=400".
func (p *scriptParser) documentLine(words []string) error {
	d := docSpec{lines: 100}
	if len(words) < 2 || words[1] != "pages" && words[1] != "page" {
		return fmt.Errorf("want \"document 2 pages ...\"")
	}
	var err error
	if d.pages, err = number(words[0], 1, 50); err != nil {
		return err
	}
	for _, w := range words[2:] {
		if v, ok := strings.CutPrefix(w, "lines="); ok {
			if d.lines, err = number(v, 1, 100000); err != nil {
				return err
			}
			continue
		}
		d.format = append(d.format, w)
	}
	if _, err := pageFormat(d.format); err != nil {
		return err
	}
	p.s.device.docs = append(p.s.device.docs, d)
	return nil
}

// wantLine reads a line about the end of the call.
func (p *scriptParser) wantLine(text string, words []string) (err error) {
	w := want{line: p.line, text: strings.TrimSpace(text)}
	if len(words) < 2 {
		return fmt.Errorf("= what?")
	}
	switch w.what = words[0]; w.what {
	case "outcome":
		w.arg = strings.Join(words[1:], " ")
		if plain := strings.TrimPrefix(w.arg, "not "); !knownOutcome(plain) {
			return fmt.Errorf("%q is no outcome", plain)
		}
	case "received", "sent":
		if len(words) == 2 && words[1] == "nothing" {
			break
		}
		if len(words) != 3 || words[1] != "pages" && words[1] != "page" {
			return fmt.Errorf("want \"= %s pages 1-2\" or \"= %s nothing\"", w.what, w.what)
		}
		w.list, err = numbers(words[2], 1, 200)
	case "remote":
		if len(words) != 3 || !slices.Contains([]string{"id", "sub", "sep", "pwd"}, words[1]) {
			return fmt.Errorf("want \"= remote id|sub|sep|pwd\" and a text in quotes")
		}
		w.key = words[1]
		w.arg, err = quoted(words[2])
	case "format":
		w.words = words[1:]
		_, err = pageFormat(w.words)
	case "modulation":
		w.arg = strings.Join(words[1:], " ")
	default:
		return fmt.Errorf("= has no %q", w.what)
	}
	p.s.wants = append(p.s.wants, w)
	return err
}

// common takes the words that all steps have; ok: w is one.
func (st *step) common(w string, more []string) (used int, ok bool, err error) {
	spans := map[string]*time.Duration{"after": &st.after}
	windows := map[string]*window{"within": &st.within, "gap": &st.gap, "preamble": &st.preamb, "for": &st.within}
	switch {
	case spans[w] == nil && windows[w] == nil:
		return 0, false, nil
	case len(more) == 0:
		return 0, true, fmt.Errorf("%s what?", w)
	case spans[w] != nil:
		*spans[w], err = span(more[0])
	default:
		*windows[w], err = spanOrWindow(more[0])
	}
	return 1, true, err
}
