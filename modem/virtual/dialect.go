package virtual

import (
	"fmt"
	"strings"

	"github.com/tipring/tipring/t30"
)

// dialect is how one of the service classes in which the modem runs T.30 words things: the draft SP-2388 that is called
// Class 2, or TIA-592 and T.32, which are Class 2.0, and with their amendments Class 2.1.
type dialect struct {
	class string
	// Commands: capabilities, session parameters, own and polling identity, abort, bit order, page status, polling, the document
	// offered to a poller, copy quality, the limit of phase C.
	cc, is, lid, pid, kill, bor, pts, spl, lpl, cq, cto string
	maker, model, revision                              string
	// Reports.
	con, csi, tsi, cig, dis, dcs, dtc, cfr, ptsTold, et, poll, hung, voice string
	hex                                                                    bool // hang-up code
	inband                                                                 bool // the post-message command comes as DLE and a character
	xon                                                                    bool // XON tells that page data is wanted
	subaddress                                                             bool // +FSA, +FPA, +FPW, +FAP
	wide                                                                   bool // VR is a set of bits
}

// dialects in the order in which a modem prefers them for an adaptive answer.
var dialects = []*dialect{
	{
		class: "2", cc: "+FDCC", is: "+FDIS", lid: "+FLID", pid: "+FCIG", kill: "+FK", bor: "+FBOR", pts: "+FPTS", spl: "+FSPL",
		lpl: "+FLPL", cq: "+FCQ", cto: "+FPHCTO", maker: "+FMFR", model: "+FMDL", revision: "+FREV",
		con: "+FCON", csi: "+FCSI: ", tsi: "+FTSI: ", cig: "+FCIG: ", dis: "+FDIS: ", dcs: "+FDCS: ", dtc: "+FDTC: ", cfr: "+FCFR",
		ptsTold: "+FPTS: ", et: "+FET: ", poll: "+FPOLL", hung: "+FHNG: ", voice: "+FVOICE", xon: true,
	},
	class20("2.0"),
	class20("2.1"),
}

// class20 is Class 2.0, or 2.1.
func class20(class string) *dialect {
	return &dialect{
		class: class, cc: "+FCC", is: "+FIS", lid: "+FLI", pid: "+FPI", kill: "+FKS", bor: "+FBO", pts: "+FPS", spl: "+FSP",
		lpl: "+FLP", cq: "+FCQ", cto: "+FCT", maker: "+FMI", model: "+FMM", revision: "+FMR",
		con: "+FCO", csi: "+FCI:", tsi: "+FTI:", cig: "+FPI:", dis: "+FIS:", dcs: "+FCS:", dtc: "+FTC:",
		ptsTold: "+FPS:", et: "+FET:", poll: "+FPO", hung: "+FHS:", voice: "+FVO", hex: true, inband: true,
		subaddress: class == "2.1", wide: class == "2.1",
	}
}

// dialectOf finds the class's dialect; nil: not a class in which the modem runs T.30.
func dialectOf(class string) *dialect {
	for _, d := range dialects {
		if d.class == class {
			return d
		}
	}
	return nil
}

// hangUp words the end of a call.
func (d *dialect) hangUp(c hangCode) string {
	if d.hex {
		return fmt.Sprintf("%s%02X", d.hung, c.hex())
	}
	return d.hung + fmt.Sprint(int(c))
}

// ident words a station's identity: twenty characters, to the right.
func ident(s string) string { return fmt.Sprintf("\"%20.20s\"", s) }

// Post-message commands in the data stream (T.32 8.3.3.7).
const (
	ppmMPS = 0x2C
	ppmEOM = 0x3B
	ppmEOP = 0x2E
)

// follows are the post-message commands by number: +FET=n, +FET:n.
var follows = [...]t30.FCF{t30.FcfMPS, t30.FcfEOM, t30.FcfEOP}

// followNumber is the number of a post-message command; PRI-Q have 3 to 5.
func followNumber(f t30.FCF) int {
	switch f {
	case t30.FcfEOM:
		return 1
	case t30.FcfEOP:
		return 2
	case t30.FcfPRM:
		return 3
	case t30.FcfPRE:
		return 4
	case t30.FcfPRP:
		return 5
	}
	return 0
}

// hangCode is how a call ended, by the numbers of Class 2 (+FHNG; decimal). Class 2.0 has the same groups, written in hexadecimal with the
// decimal digits up to 99, and 100 and on as A0 and on.
type hangCode int

const (
	hangNormal     hangCode = 0
	hangAborted    hangCode = 2  // +FK or CAN
	hangNoLoop     hangCode = 3  // no loop current
	hangPhaseA     hangCode = 10 // sending
	hangT1         hangCode = 11
	hangPhaseB     hangCode = 20
	hangCannot     hangCode = 21 // the remote cannot receive, or has nothing to be polled
	hangNoDCSReply hangCode = 25
	hangDISAgain   hangCode = 26
	hangTraining   hangCode = 27
	hangPhaseC     hangCode = 40
	hangUnderflow  hangCode = 43
	hangPhaseD     hangCode = 50
	hangRSPREC     hangCode = 51 // answer makes no sense
	hangNoMPSReply hangCode = 52
	hangBadMPS     hangCode = 53
	hangNoEOPReply hangCode = 54
	hangBadEOP     hangCode = 55
	hangNoEOMReply hangCode = 56
	hangBadEOM     hangCode = 57
	hangPIN        hangCode = 58
	hangRcvPhaseB  hangCode = 70
	hangRcvCOMREC  hangCode = 72
	hangRcvT2      hangCode = 73
	hangRcvT1EOM   hangCode = 74
	hangRcvPhaseC  hangCode = 90
	hangNoEOL      hangCode = 91
	hangOverflow   hangCode = 93
	hangRcvPhaseD  hangCode = 100
	hangRcvNoPPM   hangCode = 102 // COMREC
)

// hex is the code of Class 2.0 as the number whose hexadecimal digits it has.
func (c hangCode) hex() int {
	if c >= 100 {
		return 0xA0 + int(c) - 100
	}
	return int(c)/10*16 + int(c)%10
}

// hangCodeOf translates the engine's outcome for the side that the modem was on.
func hangCodeOf(code t30.Code, sending bool, follow t30.FCF) hangCode {
	if c, ok := hangAnySide[code]; ok {
		return c
	}
	if !sending {
		if c, ok := hangReceiving[code]; ok {
			return c
		}
		return hangRcvPhaseD
	}
	switch code {
	case t30.CodeNoReplyPage:
		return hangNoMPSReply + 2*byPPM(follow)
	case t30.CodeDCNAfterPage, t30.CodeProtocol:
		return hangBadMPS + 2*byPPM(follow)
	}
	if c, ok := hangSending[code]; ok {
		return c
	}
	return hangPhaseD
}

// byPPM is the place of a post-message command in the table of codes: MPS, EOP, EOM.
func byPPM(f t30.FCF) hangCode {
	switch f {
	case t30.FcfEOP:
		return 1
	case t30.FcfEOM:
		return 2
	}
	return 0
}

var (
	hangAnySide = map[t30.Code]hangCode{
		t30.CodeOK: hangNormal, t30.CodeCanceled: hangAborted, t30.CodeNothingToPoll: hangCannot,
		t30.CodeCannotReceive: hangCannot, t30.CodeInterrupted: hangPIN,
	}
	hangSending = map[t30.Code]hangCode{
		t30.CodeNoFax: hangT1, t30.CodeHungUpB: hangPhaseB, t30.CodeIncompatible: hangCannot, t30.CodeTraining: hangTraining,
		t30.CodeDCNInB: hangPhaseB, t30.CodeNoReplyDCS: hangNoDCSReply, t30.CodePassword: hangCannot,
		t30.CodeHungUpC: hangPhaseC, t30.CodePageRefused: hangPhaseD, t30.CodeECMGivenUp: hangPhaseC, t30.CodeReceiverBusy: hangPhaseD,
		t30.CodeSource: hangPhaseC, t30.CodeModem: hangPhaseC,
	}
	hangReceiving = map[t30.Code]hangCode{
		t30.CodeNoFax: hangT1, t30.CodeHungUpB: hangRcvPhaseB, t30.CodeIncompatible: hangRcvCOMREC, t30.CodeTraining: hangRcvPhaseB,
		t30.CodeDCNInB: hangRcvPhaseB, t30.CodePassword: hangRcvPhaseB, t30.CodeRefused: hangRcvPhaseB, t30.CodeNoDocument: hangRcvPhaseB,
		t30.CodeHungUpC: hangRcvPhaseC, t30.CodePageLost: hangRcvT2, t30.CodeNoPostMessage: hangRcvNoPPM, t30.CodePageRefused: hangRcvPhaseD,
		t30.CodeECMGivenUp: hangRcvPhaseC, t30.CodeProtocol: hangRcvNoPPM, t30.CodeSink: hangRcvPhaseC, t30.CodeModem: hangRcvPhaseC,
	}
)

// numbers words session parameters; hex: all of them in hexadecimal.
func (d *dialect) numbers(p params, hex bool) string {
	s := make([]string, len(p))
	for i, v := range p {
		s[i] = fmt.Sprint(v)
		if d.wide && i == 0 || hex {
			s[i] = fmt.Sprintf("%02X", v)
		}
	}
	return strings.Join(s, ",")
}
