package t30

// place is a point of the flow charts (T.30 Figures 5-2 and A.1..A.13) where the next step is decided. Each has one
// function, named like it, that does the step and returns the next place.
type place int

const (
	placeEnd place = iota // on hook

	// Phase B, either side.
	placeIdentify   // caller: waits for DIS (chart connector T)
	placeChoose     // a DIS or DTC is in: what now?
	placeAsk        // poller: sends DTC
	placeOffer      // called station: sends DIS (R)
	placeAwaitDCS   // receiver: waits for a new DCS after FTT, RTP, RTN (F)
	placeSettings   // receiver: judges a DCS
	placeTCF        // receiver: training check, CFR or FTT
	placeDCS        // sender: DCS and TCF (D)
	placeTrainReply // sender: CFR or FTT?

	// Phases C and D, sender.
	placePage      // sends a page without ECM (I, II)
	placePost      // MPS, EOM, EOP and the answer (II, III)
	placeBlock     // ECM: sends a block's frames (IV)
	placePartial   // ECM: PPS and the answer
	placeNotReady  // ECM: RR until the receiver is ready
	placeContinue  // ECM: CTC, CTR
	placeGiveUp    // ECM: EOR, ERR
	placeConfirmed // the far end has the page
	placeRefused   // RTN: the far end has it not

	// Phases C and D, receiver.
	placeReceive      // takes a page without ECM
	placeCommand      // waits for the post-message command
	placeAnswer       // MCF, RTP or RTN
	placeReceiveBlock // ECM: takes a block
	placePPS          // ECM: waits for PPS
	placeStore        // ECM: MCF once the block is stored, RNR until then
	placeAfterEOM     // T2 to the next DIS
	placeAfterEOP     // waits for DCN

	placeDisconnect // DCN (C)
	placeCount
)

var placeNames = [placeCount]string{
	"end", "identify", "choose", "ask", "offer", "await-dcs", "settings", "tcf", "dcs", "train-reply",
	"page", "post", "block", "partial", "not-ready", "continue", "give-up", "confirmed", "refused",
	"receive", "command", "answer", "receive-block", "pps", "store", "after-eom", "after-eop", "disconnect",
}

func (p place) String() string { return placeNames[p] }

// step does one place.
func (c *call) step(p place) place {
	switch p {
	case placeIdentify:
		return c.identify()
	case placeChoose:
		return c.choose()
	case placeAsk:
		return c.ask()
	case placeOffer:
		return c.offer()
	case placeAwaitDCS:
		return c.awaitDCS()
	case placeSettings:
		return c.judgeDCS()
	case placeTCF:
		return c.tcf()
	case placeDCS:
		return c.dcs()
	case placeTrainReply:
		return c.trainReply()
	case placePage:
		return c.page()
	case placePost:
		return c.post()
	case placeBlock:
		return c.block()
	case placePartial:
		return c.partial()
	case placeNotReady:
		return c.notReady()
	case placeContinue:
		return c.continueToCorrect()
	case placeGiveUp:
		return c.giveUp()
	case placeConfirmed:
		return c.confirmed()
	case placeRefused:
		return c.refused()
	case placeReceive:
		return c.receivePage()
	case placeCommand:
		return c.command()
	case placeAnswer:
		return c.answer()
	case placeReceiveBlock:
		return c.receiveBlock()
	case placePPS:
		return c.pps()
	case placeStore:
		return c.store()
	case placeAfterEOM:
		return c.afterEOM()
	case placeAfterEOP:
		return c.afterEOP()
	case placeDisconnect:
		return c.disconnect()
	}
	return placeEnd
}

// edge is one transition.
type edge struct{ from, to place }

// edges are the transitions that the charts allow, each with its clause. Any place may also go to placeEnd (line dropped, fault of our
// own, DCN received: 5.3.6.1.8) and to placeDisconnect (we give up: 5.3.6.1.8); those two are not listed.
var edges = map[edge]string{
	{placeIdentify, placeChoose}: "Figure 5-2a, T: DIS received",
	{placeChoose, placeDCS}:      "Figure 5-2a: compatible, document to send: D",
	{placeChoose, placeAsk}:      "Figure 5-2a: poll: DTC",
	{placeAsk, placeSettings}:    "Figure 5-2a, R: DCS in answer to DTC",

	{placeOffer, placeSettings}:     "Figure 5-2b, R: DCS in answer to DIS",
	{placeOffer, placeChoose}:       "Figure 5-2b, R: DTC in answer to DIS",
	{placeAwaitDCS, placeSettings}:  "Figure 5-2c, F: DCS",
	{placeAwaitDCS, placeCommand}:   "Field: RTN or RTP to MPS, and the sender goes on with the next page",
	{placeSettings, placeTCF}:       "Figure 5-2c: receive TCF",
	{placeAwaitDCS, placeAwaitDCS}:  "Figure 5-2c, F: CRP or the command again, our answer was lost",
	{placeTCF, placeReceive}:        "5.3.6.1.4: CFR",
	{placeTCF, placeReceiveBlock}:   "5.3.6.1.4: CFR; A.3",
	{placeTCF, placeAwaitDCS}:       "5.3.6.1.4: FTT; V.21 in place of TCF",
	{placeDCS, placeTrainReply}:     "Figure 5-2a, D: DCS, TCF sent",
	{placeTrainReply, placeDCS}:     "Figure 5-2a: FTT, DIS, CRP or no answer within T4: D",
	{placeTrainReply, placePage}:    "5.3.6.1.4: CFR",
	{placeTrainReply, placeBlock}:   "5.3.6.1.4: CFR; A.3",
	{placePage, placePost}:          "Figure 5-2d, II: page sent",
	{placePost, placeConfirmed}:     "5.3.6.1.7: MCF, RTP, PIP",
	{placePost, placeRefused}:       "5.3.6.1.7: RTN",
	{placeBlock, placePartial}:      "A.4.3: PPS after each block",
	{placePartial, placeBlock}:      "A.4.4: PPR, or MCF within a page",
	{placePartial, placeConfirmed}:  "A.4.4: MCF to the page's last block",
	{placePartial, placeRefused}:    "Field: RTN in answer to PPS",
	{placePartial, placeNotReady}:   "A.4.4: RNR",
	{placePartial, placeContinue}:   "A.4.1: fourth PPR, lower rate left: CTC",
	{placePartial, placeGiveUp}:     "A.4.3: fourth PPR, no lower rate: EOR",
	{placeNotReady, placeBlock}:     "A.4.4: ready: PPR, or MCF within a page",
	{placeNotReady, placeConfirmed}: "A.4.4: ready: MCF to the page's last block",
	{placeNotReady, placeRefused}:   "Field: ready: RTN",
	{placeNotReady, placeContinue}:  "A.4.1: ready: fourth PPR",
	{placeNotReady, placeGiveUp}:    "A.4.3: ready: fourth PPR",
	{placePost, placeChoose}:        "Field: DIS or DTC in place of an answer: phase B again",
	{placePartial, placeChoose}:     "Field: the same with ECM",
	{placeNotReady, placeChoose}:    "Field: the same in answer to RR",
	{placeGiveUp, placeBlock}:       "A.4.3: ERR to EOR-MPS: the next page",
	{placeGiveUp, placeIdentify}:    "A.4.3: ERR to EOR-EOM: phase B",
	{placeContinue, placeBlock}:     "A.4.2: CTR",
	{placeConfirmed, placePage}:     "Figure 5-2d: MPS confirmed: next page",
	{placeConfirmed, placeBlock}:    "A.4.3: PPS-MPS confirmed: next page",
	{placeConfirmed, placeDCS}:      "5.3.6.1.7: RTP after MPS: retrain",
	{placeConfirmed, placeIdentify}: "5.3.6.1.6: EOM: phase B",
	{placeRefused, placeDCS}:        "5.3.6.1.7: RTN: retrain, the page again or the next one",
	{placeRefused, placeIdentify}:   "5.3.6.1.6, 7: RTN in answer to EOM: phase B",

	{placeReceive, placeCommand}:    "Figure 5-2e: page ended",
	{placeCommand, placeReceive}:    "5.3.6.1.8: CRP: our answer again",
	{placeCommand, placeAnswer}:     "5.3.6.1.6: MPS, EOM, EOP, PRI-Q",
	{placeCommand, placeSettings}:   "Figure 5-2c: DCS again, our CFR was lost",
	{placeAnswer, placeReceive}:     "5.3.6.1.7: MCF to MPS",
	{placeAnswer, placeAwaitDCS}:    "5.3.6.1.7: RTP, RTN",
	{placeAnswer, placeAfterEOM}:    "5.3.6.1.6: EOM answered",
	{placeAnswer, placeAfterEOP}:    "5.3.6.1.6: EOP answered with MCF",
	{placeReceiveBlock, placePPS}:   "A.4.3: block ended",
	{placePPS, placeReceiveBlock}:   "A.4.2, A.4.4: PPR, CTR, ERR within a page, or MCF again",
	{placePPS, placeStore}:          "A.4.3: block whole",
	{placePPS, placeSettings}:       "Figure 5-2c: DCS again, our CFR was lost",
	{placePPS, placeAfterEOM}:       "A.4.3: EOR-EOM",
	{placePPS, placeAfterEOP}:       "A.4.3: EOR-EOP",
	{placePPS, placePPS}:            "A.4.4: CRP or a lost answer repeated",
	{placeStore, placeReceiveBlock}: "A.4.4: MCF, next block or page",
	{placeStore, placeAfterEOM}:     "A.4.4: MCF to PPS-EOM",
	{placeStore, placeAfterEOP}:     "A.4.4: MCF to PPS-EOP",
	{placeAfterEOM, placeOffer}:     "5.3.6.1.6: T2, then DIS",
	{placeAfterEOM, placeAsk}:       "5.3.6.1.6: T2, then DTC",
	{placeAfterEOM, placeSettings}:  "Field: DCS at once after EOM",
	{placeAfterEOM, placeChoose}:    "Figure 5-2b: DTC at once after EOM",
	{placeAfterEOM, placeAfterEOM}:  "Figure 5-2e: EOM again, our answer was lost",
	{placeAfterEOP, placeAfterEOP}:  "Figure 5-2e: EOP again, our answer was lost",
	{placeAfterEOP, placeSettings}:  "Field: DCS after EOP",
}

// allowed tells whether the charts have the transition.
func allowed(from, to place) bool {
	if to == placeEnd || to == placeDisconnect {
		return from != placeEnd
	}
	_, ok := edges[edge{from, to}]
	return ok
}
