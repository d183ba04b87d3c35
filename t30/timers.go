package t30

import "time"

// Timers of T.30 5.4.2 and Annex A.5.4.1. Where the recommendation gives a tolerance the value lies inside it.
const (
	timerT1       = 40 * time.Second        // caller, phase B: 35 ± 5 s
	timerT1Answer = 35 * time.Second        // answerer, phase B: 35 ± 5 s
	timerT2       = 7 * time.Second         // receiver's wait for a command or page: 6 ± 1 s
	timerT2EOM    = 6 * time.Second         // from the answer to EOM to the next DIS: T2, 6 ± 1 s
	timerT4       = 3 * time.Second         // answerer, between two DIS: 3 s ± 15 %
	timerT4Sender = 3100 * time.Millisecond // sender, wait for an answer: 3 s ± 15 %
	timerT5       = 60 * time.Second        // RNR at most: 60 ± 5 s

	// pause parts a V.21 signal from the message carrier, either way (T.30 5.3.1, 4.1.2.2): 75 ± 20 ms.
	pause = 75 * time.Millisecond
	// pauseBrisk is the shortest such pause, kept before our V.21 signals for as long as no signal was lost in the call. After a signal
	// of theirs it runs from when the modem told us that it was over, which on the line was earlier.
	pauseBrisk = 57 * time.Millisecond
	// pauseCarrier is the same before a carrier of ours: on a noisy line a receiver has to see one signal go before it trains on the next
	// (with 57 ms spandsp did not train in 10 of 16 calls at 30 dB, with 75 ms in 2 of 20).
	pauseCarrier = 69 * time.Millisecond
	// tcfTime is the length of the training check (T.30 5.3.6.1.3): 1.5 s ± 10 %.
	tcfTime = 1500 * time.Millisecond
	// afterDCN is how long we stay on the line after our DCN (T.24: 0.8 to 1.2 s). Field: what goes through a packet network is some
	// tenths of a second late, and lost with the call.
	afterDCN = 800 * time.Millisecond
	// waitCarrier bounds the wait for a page's carrier: with its training, which a modem waits for as well, and the look whether the line
	// is quiet it comes to T2.
	waitCarrier = 5300 * time.Millisecond
	// waitTCF bounds the wait for the TCF's carrier after a DCS. Field: it is short of T2 so that the FTT for a
	// carrier that never trained reaches the sender inside its T4 (its TCF ends at most 3.1 s after the DCS).
	waitTCF = 3500 * time.Millisecond
	// tcfPass is the longest that a training check lasts after its DCS: pause, training and 1.5 s.
	tcfPass = 3 * time.Second
	// waitLost is how long the PPS of an ECM block is waited for whose carrier never trained. Field: beyond T2, so
	// that a block of 64 KiB at 14400 bit/s can pass by unheard; PPR then asks for all of it.
	waitLost = 50 * time.Second
	// slowStore is how long storing a page or block may take before the answer would miss the sender's T4: then RNR
	// (ECM), or the answer waits for the repeated command.
	slowStore = 1500 * time.Millisecond
	// repeatTo bounds the time from the end of a post-message command to the end of its repetition: our lost answer, T4 (some senders
	// begin it after that), and a V.21 signal of 1.0 to 1.3 s. A sender that misread our answer repeats it at once.
	repeatTo = 6 * time.Second
	// minPage is the least time of a page that follows a confirmed one without ECM. Between the commands of two such pages lie our least
	// pauses, an answer and a preamble, 2.2 s together, and the page: a receiver that did not hear it, and goes by the time as we do
	// (repeatTo), does not take the command for a repetition of the one before.
	minPage = repeatTo - 2100*time.Millisecond
	// commandDue is how long after the end of a page its post-message command is in at the latest: some slack, a preamble of 1 s ±15 % and
	// the frame. One that comes later to a page without RTC followed a part of the page that was not heard.
	commandDue = 3 * time.Second
	// sameSignal is less than a V.21 signal lasts: two spoilt frames within it were of one.
	sameSignal = time.Second
	// glanceAt is how long a V.21 signal that came in place of a page is given for its next frame, glanceNext that after a spoilt
	// one: then the page is listened for again.
	glanceAt   = 400 * time.Millisecond
	glanceNext = 150 * time.Millisecond
	// falseStart is the least time between two tries to receive, lest a modem that fails at once makes a busy loop.
	falseStart = 20 * time.Millisecond
)

// Retry counters.
const (
	maxTries       = 3   // a command is sent three times at most (T.30 5.4.1)
	maxPPR         = 4   // requests for one block before CTC or EOR (T.30 A.4.4)
	maxResends     = 2   // page sent again after RTN, beyond the first time
	maxRepeats     = 6   // answers repeated without anything new: the far end may repeat each of its commands
	maxRounds      = 64  // transmissions of one ECM block taken: four PPR at each rate of the ladder and some lost PPS
	maxFTT         = 24  // trainings refused in a row: three at each rate of the ladder
	maxRTN         = 32  // pages refused in a row: some senders go on in spite of RTN, and more than this is no fax
	minTrainings   = 3   // trainings tried before the call is given up, even at the lowest rate
	maxPastSeconds = 300 // of a page that cannot be stored, before its carrier is cut off
	maxLineSeconds = 5   // one coded line, fill included (T.4 3.3)
	maxFrames      = 32  // frames taken in one V.21 signal
	framesPerBlock = 256 // ECM frames in a block (T.30 A.3.3)
)
