package t30

import "fmt"

// Code is how a call ended. Numbers are for life: they stand in users' databases; new ones are appended in their group.
type Code int

const (
	CodeNone Code = 0 // not ended yet
	CodeOK   Code = 1 // all pages confirmed, or all received

	// Before an answer.
	CodeBusy         Code = 10
	CodeNoAnswer     Code = 11
	CodeNoDialTone   Code = 12
	CodeNoCarrier    Code = 13 // the modem gave up without saying why
	CodeNotInService Code = 14 // special information tone: no such number
	CodeBlacklisted  Code = 15 // the modem refuses to dial the number now
	CodeGlare        Code = 16 // a call came in, nothing was dialed
	CodeCallAborted  Code = 17 // we gave up ringing ourselves
	CodeNoLine       Code = 18 // nothing was dialed: no voltage on the line, the cord is out
	CodeLineInUse    Code = 19 // nothing was dialed: a telephone on the same line is in use

	// Answered, phase A and B.
	CodeNoFax         Code = 20 // answered, but no fax signal (T1 ran out)
	CodeVoice         Code = 21
	CodeHungUpB       Code = 22 // the far end hung up before the first page
	CodeCannotReceive Code = 23 // the far end's DIS says it cannot receive
	CodeIncompatible  Code = 24 // no common format
	CodeTraining      Code = 25 // every rate failed training
	CodeDCNInB        Code = 26 // the far end sent DCN before the first page
	CodeNoReplyDCS    Code = 27 // three times no answer to DCS
	CodeNothingToPoll Code = 28
	CodePassword      Code = 29 // password or subaddress refused
	CodeRefused       Code = 30 // we refused: nothing to receive into
	CodeNoDocument    Code = 31 // we answered, the caller sent no DCS (T2/T1)
	CodeData          Code = 32 // we answered, a data modem called

	// In and after a page.
	CodeHungUpC       Code = 40 // line dropped in or after a page
	CodeNoReplyPage   Code = 41 // three times no answer to the post-message command
	CodeDCNAfterPage  Code = 42 // the far end answered DCN to the post-message command
	CodePageRefused   Code = 43 // RTN
	CodeECMGivenUp    Code = 44 // PPR again and again, EOR
	CodeReceiverBusy  Code = 45 // RNR for longer than T5
	CodePageLost      Code = 46 // receiving: the page's carrier was lost or never came
	CodeNoPostMessage Code = 47 // receiving: the page ended, no post-message command came
	CodeProtocol      Code = 48 // a frame that makes no sense here, three times
	CodeInterrupted   Code = 49 // PIN/PIP/PRI: the far operator wants to speak

	// Our side.
	CodeModem    Code = 60 // our modem or port failed
	CodeSource   Code = 61 // our page could not be read
	CodeSink     Code = 62 // our page could not be stored
	CodeCanceled Code = 63 // stopped by us
)

var codeNames = map[Code]string{
	CodeNone: "not ended", CodeOK: "ok",
	CodeBusy: "busy", CodeNoAnswer: "no answer", CodeNoDialTone: "no dial tone", CodeNoCarrier: "no carrier",
	CodeNotInService: "number not in service", CodeBlacklisted: "modem refuses to dial this number now",
	CodeGlare: "incoming call first", CodeCallAborted: "ringing given up",
	CodeNoLine: "no telephone line", CodeLineInUse: "line in use by a telephone",
	CodeNoFax: "no fax answered", CodeVoice: "voice answered", CodeHungUpB: "far end hung up before the first page",
	CodeCannotReceive: "far end cannot receive", CodeIncompatible: "no common format", CodeTraining: "training failed at every rate",
	CodeDCNInB: "far end disconnected before the first page", CodeNoReplyDCS: "no answer to DCS",
	CodeNothingToPoll: "nothing to poll", CodePassword: "password or subaddress refused", CodeRefused: "refused by us",
	CodeNoDocument: "caller sent nothing", CodeData: "data modem called",
	CodeHungUpC: "line dropped in a page", CodeNoReplyPage: "no answer after a page", CodeDCNAfterPage: "far end disconnected after a page",
	CodePageRefused: "page refused as unreadable", CodeECMGivenUp: "error correction gave up", CodeReceiverBusy: "receiver not ready for too long",
	CodePageLost: "page lost", CodeNoPostMessage: "nothing came after the page", CodeProtocol: "protocol error", CodeInterrupted: "operator interrupt",
	CodeModem: "modem fault", CodeSource: "page cannot be read", CodeSink: "page cannot be stored", CodeCanceled: "canceled",
}

func (c Code) String() string {
	if s, ok := codeNames[c]; ok {
		return s
	}
	return fmt.Sprintf("code %d", int(c))
}
