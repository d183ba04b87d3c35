package call

import (
	"sync"

	"github.com/tipring/tipring/imaging"
	"github.com/tipring/tipring/t30"
)

// Live is how far the page on the line is.
type Live struct {
	Page   int // from 1: of the whole document when sending, of the call when receiving
	Pages  int // of the whole document; 0: not known
	Format t30.PageFormat
	ECM    bool
	Octets int64 // coded data handed to or taken from the line
	Total  int64 // coded data of the whole page; 0: not known
	Lines  int   // image lines so far; sending: estimated from the octets
	Height int   // image lines of the whole page; 0: not known

	// Bitmap is the whole page when sending; nil when receiving. It must not be changed.
	Bitmap *imaging.Bitmap
	// Rows are the image lines that came since the last call, when receiving: Stride words each, valid during the call.
	Rows *imaging.Bitmap
	// BadLines counts those of Lines that did not decode, when receiving without ECM.
	BadLines int
	// Done is set once, when the page has ended.
	Done bool
}

// maxEvents bounds a transcript: the first half of it and the last events are kept.
const maxEvents = 20000

// Transcript collects the events of one call; its Add is a [t30.Session]'s Trace. The zero value is ready.
type Transcript struct {
	// Then, unless nil, gets each event too. It must not block.
	Then func(t30.Event)

	mu      sync.Mutex
	head    []t30.Event
	tail    []t30.Event // ring, once head is full
	next    int
	dropped int
}

// Add adds one event. It never blocks for long and keeps a bounded number: of a long call, the beginning and the end.
func (t *Transcript) Add(e t30.Event) {
	t.mu.Lock()
	switch {
	case len(t.head) < maxEvents/2:
		t.head = append(t.head, e)
	case len(t.tail) < maxEvents/2:
		t.tail = append(t.tail, e)
	default:
		t.tail[t.next] = e
		t.next = (t.next + 1) % len(t.tail)
		t.dropped++
	}
	t.mu.Unlock()
	if t.Then != nil {
		t.Then(e)
	}
}

// Events returns what was kept, in order.
func (t *Transcript) Events() []t30.Event {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := append([]t30.Event(nil), t.head...)
	if t.dropped > 0 {
		list = append(list, t30.Event{At: t.tail[t.next].At, Layer: t30.LayerCall, Dir: t30.Note, Text: "events left out here"})
	}
	list = append(list, t.tail[t.next:]...)
	return append(list, t.tail[:t.next]...)
}
