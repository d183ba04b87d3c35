package modem

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tipring/tipring/modem/recording"
	"github.com/tipring/tipring/modem/virtual"
	"github.com/tipring/tipring/t30"
	"github.com/tipring/tipring/t30/t30test"
)

var update = flag.Bool("update", false, "make the recordings of the virtual modems anew")

const recordings = "../testdata/modems"

// TestRecordings_Play: each recording of testdata/modems, whoever made it, is played to the drivers: they do the same as then, set-up
// commands apart to the octet, and the calls end as they did.
func TestRecordings_Play(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(recordings, "*.rec"))
	must(t, err)
	if len(files) < 8 {
		t.Fatalf("only %d recordings", len(files))
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".rec"), func(t *testing.T) {
			f, err := os.Open(name)
			must(t, err)
			defer f.Close()
			rec, err := recording.Parse(f)
			must(t, err)
			synctest.Test(t, func(t *testing.T) { must(t, replay(t.Context(), rec, false)) })
		})
	}
}

// replayer does what our side did in a recording.
type replayer struct {
	player *recording.Player
	steps  []recording.Event
	m      *Modem
	ring   t30.Incoming

	mu        sync.Mutex
	documents []DocumentStep
	pages     []PageStep
	qualities []t30.Quality
}

// replay plays a recording and returns the first thing that went otherwise than then.
func replay(ctx context.Context, rec *recording.Recording, strict bool) error {
	r := &replayer{player: recording.NewPlayer(rec), steps: rec.Steps()}
	r.player.Strict = strict
	err := r.prepare()
	for i := 0; i < len(r.steps) && err == nil; i++ {
		err = r.do(ctx, i)
	}
	if r.m != nil {
		_ = r.m.Close()
	}
	if d := r.player.Err(); d != nil {
		return d
	}
	if err == nil {
		if rest := r.player.Rest(); len(rest) > 0 {
			err = fmt.Errorf("line %d of the recording did not happen: %s", rest[0].Line, rest[0])
		}
	}
	return err
}

func decode[T any](e recording.Event) (v T, err error) {
	_, text := e.Step()
	if err = json.Unmarshal([]byte(text), &v); err != nil {
		err = fmt.Errorf("line %d: %w", e.Line, err)
	}
	return v, err
}

// prepare gathers what the engine's questions were answered with.
func (r *replayer) prepare() error {
	var all error
	for _, e := range r.steps {
		var err error
		switch word, _ := e.Step(); word {
		case StepDocument:
			var d DocumentStep
			d, err = decode[DocumentStep](e)
			r.documents = append(r.documents, d)
		case StepPage:
			var p PageStep
			p, err = decode[PageStep](e)
			r.pages = append(r.pages, p)
		case StepQuality:
			var q t30.Quality
			q, err = decode[t30.Quality](e)
			r.qualities = append(r.qualities, q)
		}
		all = errors.Join(all, err)
	}
	return all
}

// do takes step i.
func (r *replayer) do(ctx context.Context, i int) error {
	e := r.steps[i]
	word, _ := e.Step()
	if (word == StepCall || word == StepAnswer || word == StepWait || word == StepTest || word == StepV34) && !r.player.Await(e) {
		return fmt.Errorf("line %d: never came to %s", e.Line, word)
	}
	switch word {
	case StepOpen:
		return r.open(ctx, i)
	case StepWait:
		var err error
		if i+1 < len(r.steps) { // a ring came
			r.ring, err = r.m.WaitCall(ctx)
		}
		return err
	case StepCall, StepAnswer:
		return r.call(ctx, i, word)
	case StepV34:
		_, err := r.m.OffersV34(ctx)
		return err
	case StepTest:
		state, _, err := r.m.TestLine(ctx)
		if err != nil {
			return err
		}
		if was, err := decode[TestedStep](r.steps[min(i+1, len(r.steps)-1)]); err != nil || was.State != state.String() {
			return fmt.Errorf("the line is %s, then it was %q: %w", state, was.State, err)
		}
	}
	return nil
}

func (r *replayer) open(ctx context.Context, i int) error {
	s, err := decode[OpenStep](r.steps[i])
	if err != nil {
		return err
	}
	var was Identity
	for _, e := range r.steps[i:] {
		if word, _ := e.Step(); word == StepOpened && was.Class == "" {
			if was, err = decode[Identity](e); err != nil {
				return err
			}
		}
	}
	o := s.Options()
	if was.Class != "" { // a better class or profile may be known by now, and a player has no USB identity
		o.Class, o.Profile = was.Class, was.Profile
	}
	r.m, err = New(ctx, r.player.Port(), o)
	switch {
	case was.Class == "" && err == nil:
		return errors.New("it was no modem then")
	case was.Class == "":
		return nil
	case err != nil:
		return err
	}
	return nil
}

func (r *replayer) call(ctx context.Context, i int, word string) error {
	s, err := decode[SessionStep](r.steps[i])
	if err != nil {
		return err
	}
	var was *EndedStep
	for _, e := range r.steps[i:] {
		if w, _ := e.Step(); w == StepEnded && was == nil {
			v, err := decode[EndedStep](e)
			if err != nil {
				return err
			}
			was = &v
		}
	}
	session := t30.Session{Me: s.Me, Limit: s.Limit, NoECM: s.NoECM, Poll: s.Poll, NeedPassword: s.NeedPassword}
	if s.Sends {
		session.Send = r
	}
	if s.Receives {
		session.Sink = &t30test.Sink{Judge: func(int, []byte) t30.Quality { return r.quality() }}
	}
	var report t30.Report
	if word == StepCall {
		report, err = r.m.Call(ctx, s.Number, session)
	} else {
		report, err = r.ring.Answer(ctx, s.Mode, session)
	}
	if was == nil {
		return nil // the recording ends in the call
	}
	if report.Code != was.Code || report.Sent != was.Sent || report.Received != was.Received || (err != nil) != (was.Error != "") {
		return fmt.Errorf("the call ended with %v %q, %d sent, %d received, error %v; then with %v %q, %d and %d, %q", report.Code, report.Text, report.Sent, report.Received, err,
			was.Code, was.Text, was.Sent, was.Received, was.Error)
	}
	return nil
}

// quality is how the next page was judged.
func (r *replayer) quality() t30.Quality {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.qualities) == 0 {
		return t30.Quality{Lines: 1000}
	}
	q := r.qualities[0]
	r.qualities = r.qualities[1:]
	return q
}

// Next implements t30.Documents.
func (r *replayer) Next(context.Context, t30.Remote) (t30.PageSource, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.documents) == 0 || !r.documents[0].More {
		return nil, io.EOF
	}
	r.documents = r.documents[1:]
	return playedSource{r}, nil
}

// playedSource gives the pages that were sent; where they are not told, as many octets that need neither shielding nor zero insertion.
type playedSource struct{ r *replayer }

func (s playedSource) Page(_ context.Context, n int, _ t30.PageLimit) (t30.PageFormat, io.ReadCloser, error) {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	if len(s.r.pages) == 0 {
		return t30.PageFormat{}, nil, io.EOF
	}
	p := s.r.pages[0]
	s.r.pages = s.r.pages[1:]
	if p.N != n {
		return t30.PageFormat{}, nil, fmt.Errorf("page %d is asked for, then it was %d", n, p.N)
	}
	if p.None {
		return t30.PageFormat{}, nil, io.EOF
	}
	data := p.Data
	if data == nil {
		data = bytes.Repeat([]byte{0x55}, p.Octets)
	}
	return p.Format, io.NopCloser(bytes.NewReader(data)), nil
}

func (playedSource) Sent(int) error                      { return nil }
func (playedSource) Confirmed(int, t30.PageResult) error { return nil }
func (playedSource) Refused(int, t30.PageResult) error   { return nil }
func (playedSource) End(t30.Report) error                { return nil }

// recordCall makes a recording of one virtual modem: it sends a page to another modem, or takes one from it.
func recordCall(t *testing.T, personality string, sends bool, o recording.Options) []byte {
	t.Helper()
	var file bytes.Buffer
	ex := virtual.NewExchange(virtual.Options{Delay: 20 * time.Millisecond})
	defer ex.Close()
	rec := recording.NewRecorder(&file, o)
	class := map[string]string{"class2": "2", "rockwell": "2", "class2.0": "2.0", "usr": "2.0", "class2.1": "2.1", "multitech": "2.1"}
	profile := map[string]string{"iaxmodem": "iaxmodem"} // its identity is spandsp's
	open := func(number, personality string, record *recording.Recorder) *Modem {
		p, err := virtual.Personality(personality)
		must(t, err)
		port, err := ex.NewModem(number, p).Open()
		must(t, err)
		m, err := New(t.Context(), port, Options{Class: class[personality], Profile: profile[personality], Record: record})
		must(t, err)
		return m
	}
	numbers := [2]string{"5550142", "5550143"}
	strange, plain := open(numbers[0], personality, rec), open(numbers[1], "generic", nil)
	from, to, number := strange, plain, numbers[1]
	if !sends {
		from, to, number = plain, strange, numbers[0]
	}
	doc := t30test.NewDocument(1, 1, 40)
	var wg sync.WaitGroup
	wg.Go(func() {
		in, err := to.WaitCall(t.Context())
		if err != nil {
			t.Error(err)
			return
		}
		if _, err := in.Answer(t.Context(), t30.AnswerFax, t30.Session{Me: t30.Station{ID: "5550143"}, Sink: &t30test.Sink{}}); err != nil {
			t.Error(err)
		}
	})
	time.Sleep(3 * time.Second)
	r, err := from.Call(t.Context(), number, t30.Session{Me: t30.Station{ID: "5550142"}, Send: t30test.Docs(doc)})
	wg.Wait()
	must(t, err)
	if !r.OK() {
		t.Errorf("%s: %v %q", personality, r.Code, r.Text)
	}
	must(t, from.Close())
	must(t, to.Close())
	must(t, rec.Err())
	return file.Bytes()
}

// TestRecordings_OfVirtualModems: what is recorded now can be played now, and with -update becomes the fixture.
func TestRecordings_OfVirtualModems(t *testing.T) {
	for _, personality := range virtual.Personalities() {
		for _, sends := range []bool{true, false} {
			way := map[bool]string{true: "sends", false: "receives"}[sends]
			t.Run(personality+" "+way, func(t *testing.T) {
				var file []byte
				synctest.Test(t, func(t *testing.T) {
					file = recordCall(t, personality, sends, recording.Options{Pages: true, About: []string{"virtual modem " + personality + ", which " + way + " a page"}})
				})
				play(t, file, func(err error) { must(t, err) })
				if *update {
					must(t, os.WriteFile(filepath.Join(recordings, "virtual-"+personality+"-"+way+".rec"), file, 0o644))
				}
			})
		}
	}
}

// play plays a recording in a bubble of its own.
func play(t *testing.T, file []byte, check func(error)) {
	t.Helper()
	rec, err := recording.Parse(bytes.NewReader(file))
	if err != nil {
		t.Fatalf("%v\n%s", err, file)
	}
	var result error
	synctest.Test(t, func(t *testing.T) { result = replay(t.Context(), rec, true) })
	if check(result); t.Failed() {
		t.Logf("the recording:\n%s", file)
	}
}

// TestRecording_TellsNoSecrets: neither pages nor numbers nor passwords are in a plain recording, and it can be played as far as it goes.
func TestRecording_TellsNoSecrets(t *testing.T) {
	for _, personality := range []string{"generic", "class2", "class2.0"} {
		for _, sends := range []bool{true, false} {
			t.Run(fmt.Sprint(personality, " sends ", sends), func(t *testing.T) {
				var file []byte
				synctest.Test(t, func(t *testing.T) { file = recordCall(t, personality, sends, recording.Options{}) })
				for _, secret := range []string{"5550142", "5550143", "2410555", "3410555", "35 35 35 30 31 34"} {
					if bytes.Contains(file, []byte(secret)) {
						t.Errorf("%s is in it", secret)
					}
				}
				page := t30test.MakePage(1000, 40)
				for _, line := range bytes.Split(file, []byte("\n")) {
					if len(line) > 3*len(page) {
						t.Errorf("a line of %d octets, the page has %d", len(line), len(page))
					}
				}
				play(t, file, func(err error) {
					if sends && err != nil || !sends && !errors.Is(err, recording.ErrNoPages) {
						t.Error(err)
					}
				})
			})
		}
	}
}

// TestRecording_Divergence: a driver that does anything else than what was recorded is told so, with the line.
func TestRecording_Divergence(t *testing.T) {
	var file []byte
	synctest.Test(t, func(t *testing.T) { file = recordCall(t, "generic", true, recording.Options{Pages: true}) })
	lines := strings.Split(string(file), "\n")
	line := func(words string) int { // the first with them, from 1
		for i, l := range lines {
			if strings.Contains(l, words) {
				return i + 1
			}
		}
		t.Fatalf("no %q in the recording:\n%s", words, file)
		return 0
	}
	for _, c := range []struct {
		name, words, old, new, says string
	}{
		{"another command", "AT+FTM=145", "145", "121", `recorded > "AT+FTM=121\r", but now > "AT+FTM=145\r"`},
		{"another frame", "> ff 13 fb", "ff 13 fb", "ff 13 fa", "but now > ff 13 fb"},
		{"no command where there was one", "> \"ATH0", "ATH0", "ATZ", "but now"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := line(c.words)
			changed := append([]string(nil), lines...)
			changed[n-1] = strings.ReplaceAll(changed[n-1], c.old, c.new)
			play(t, []byte(strings.Join(changed, "\n")), func(err error) {
				var d *recording.Divergence
				if !errors.As(err, &d) {
					t.Fatalf("%v", err)
				}
				if d.Line != n || !strings.Contains(d.Error(), c.says) {
					t.Errorf("line %d: %v; want line %d: %s", d.Line, d, n, c.says)
				}
			})
		})
	}
	t.Run("more than was recorded", func(t *testing.T) {
		n := line("AT+FTM=145")
		play(t, []byte(strings.Join(lines[:n-1], "\n")), func(err error) {
			var d *recording.Divergence
			if !errors.As(err, &d) || d.Line != 0 {
				t.Errorf("%v", err)
			}
		})
	})
	t.Run("less than was recorded", func(t *testing.T) {
		play(t, append(bytes.Clone(file), "9999.000 > \"ATH0\\r\"\n"...), func(err error) {
			if err == nil || !strings.Contains(err.Error(), "did not happen") {
				t.Errorf("%v", err)
			}
		})
	})
}
