// Package t30 is the T.30 engine: the procedures of a Group 3 fax call, on either side, over any [Line].
//
// A call is a walk over places, the connectors of the recommendation's flow charts; see place.go for the table of
// transitions with their clauses. [Originate] and [Answer] run one call over a Line; [NewTerminal] makes a [Terminal]
// of a [Phone]. Documents come from a [Documents], received pages go to a [PageSink], and the transcript to
// Session.Trace.
//
// Two promises rule the engine. A page (or ECM block) is confirmed with MCF only after the sink has made it durable;
// and a page counts as sent only after the far end has confirmed it, which the source has recorded before
// the next page starts.
//
// Deliberate deviations from T.30:
//
//   - A page that was answered with RTN is sent again, twice at most, at lower rates (T.30 leaves it open).
//   - After a fourth PPR at the lowest rate the call ends with EOR-EOP: a page with holes is no page sent.
//   - A page without ECM of which nothing was heard is neither confirmed nor refused: the call ends with DCN. After RTN some
//     senders go on with the next page, and of this one nothing would be left.
//   - After RTN or RTP to MPS the next page is listened for besides DCS, since some senders go on with it.
//   - A carrier that never trains is waited out beyond T2, where the line tells it from silence ([Listener]) or cannot tell.
//   - T2 starts anew after a spoilt command, since the sender repeats it only after T4.
//   - PRI-EOP, PRI-MPS and PRI-EOM are taken for EOP, MPS and EOM: no operator is at hand.
package t30
