package t30

import "time"

// Report says what became of a call, or of one document in it.
type Report struct {
	Code Code   // how it ended
	Text string // detail for Code, in English, for a log ("DCN in answer to MPS")

	Sent     int // pages confirmed by the far end (MCF or RTP)
	SentPoor int // of these, confirmed with RTP
	Refused  int // pages refused by the far end (RTN) as often as they were tried, or given up (ECM: EOR)
	Received int // pages received and confirmed by us

	// Unknown is set when the last page's confirmation may have been lost: sent whole, post-message command sent, no
	// answer understood. The page may have been printed.
	Unknown bool

	// Trouble is what the far end, or the line to it, did not manage in this call.
	Trouble Trouble

	Remote     Remote
	Modulation Modulation // of the last high-speed carrier, zero if none
	ECM        bool
	Format     PageFormat // of the last page
	Connected  bool       // the far end answered
	FaxHeard   bool       // a T.30 frame was heard
	Start      time.Time  // off hook
	Connect    time.Time  // answered; zero if not
	End        time.Time  // on hook

	// Spans are the stretches of the call from Start to End, in order and without a gap; at most 1502, see [KindMerged]. None
	// from a Terminal that runs T.30 by itself. [Breakdown] adds them up.
	Spans []Span
}

// OK tells whether all that was asked for was done.
func (r Report) OK() bool { return r.Code == CodeOK }
