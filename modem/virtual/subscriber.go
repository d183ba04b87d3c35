package virtual

// subscriber is what hangs on a line of the exchange: a [Modem] or a [Tester]. All methods are called with the exchange locked.
type subscriber interface {
	// at is the subscriber's end of its line.
	at() *hook
	// idle tells whether the exchange can ring it.
	idle() bool
	// ring is called for each ring burst.
	ring()
	// callerID tells the caller's number and the dialed one, between the first ring burst and the second.
	callerID(caller, dialed string)
	// ringStopped is called when the caller gave up.
	ringStopped()
	// callProgress is what the exchange lets a caller hear.
	callProgress(progress)
	// lineDropped is called when the exchange has dropped the line.
	lineDropped()
	// hear takes what comes off the line.
	hear(lineEvent)
	// trace reports an event about it.
	trace(Event)
}

// hook is a subscriber's end of a line.
type hook struct {
	ex       *Exchange
	number   string
	call     *call // off hook in it
	incoming *call // rings it
	// prompt: it hears V.21 without a receiver's filters, and a hang-up at once.
	prompt bool
}

func (h *hook) at() *hook { return h }

// trace reports e about the subscriber.
func (h *hook) trace(e Event) {
	e.Modem = h.number
	if h.call != nil {
		e.Call = h.call.id
	}
	h.ex.trace(e)
}
