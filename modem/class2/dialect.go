package class2

import "github.com/tipring/tipring/t30"

// dialect is how one service class words what all of them do. Commands are without AT.
type dialect struct {
	class string // of +FCLASS

	capabilities string // what the modem is to offer at most; also asked for with =?
	session      string // what is wanted in this call
	localID      string // CSI and TSI
	pollID       string // CIG
	poll         string // 1: poll the far end
	offer        string // 1: there is a document to be polled
	receive      string // 1: pages may come
	bitOrder     string // 0: an octet's least significant bit is the first on the line
	status       string // page status, to be set or asked for
	abort        string
	quality      [2]string // copy quality checking of the modem's own: off, on
	timeout      string    // the longest wait for us inside a page
	setup        []string
	adaptive     [2][]string // how ATA answers: as a fax, adaptively. The first that is accepted counts
	addressing   bool        // may have +FAP, +FSA, +FPA, +FPW

	hex         bool // numbers are hexadecimal
	vrMask      bool // VR is a set of bits, not a choice
	ecmSizes    bool // EC tells 64 from 256 octets a frame
	hangupTable int  // column of the hang-up codes
	pageEnd     bool // the page's data ends with what follows it: <DLE> and a code, in place of +FET
	trigger     byte // what we send after +FDR's CONNECT
	waitXON     bool // XON follows +FDT's CONNECT
	reversed    bool // received octets come with the most significant bit first
}

const (
	dc1 = 0x11
	dc2 = 0x12
)

// dialects are the three classes. The second column of FACTS on Class 2 is 2.0 (TIA-592) and 2.1 (T.32); the first is SP-2388-A as
// Rockwell made it, of whose reversed bits in received pages (Field) most others of Class 2 have taken the habit over.
var dialects = map[string]*dialect{
	"2": {
		class: "2", capabilities: "+FDCC", session: "+FDIS", localID: "+FLID", pollID: "+FCIG", poll: "+FSPL", offer: "+FLPL",
		receive: "+FCR", bitOrder: "+FBOR", status: "+FPTS", abort: "+FK", quality: [2]string{"+FCQ=0", "+FCQ=1"}, timeout: "+FPHCTO=255",
		adaptive: [2][]string{{"+FAA=0"}, {"+FAA=1"}},
		ecmSizes: true, hangupTable: 0, trigger: dc1, waitXON: true, reversed: true,
	},
	"2.0": dialect20("2.0"),
	"2.1": dialect20("2.1"),
}

func dialect20(class string) *dialect {
	return &dialect{
		class: class, capabilities: "+FCC", session: "+FIS", localID: "+FLI", pollID: "+FPI", poll: "+FSP", offer: "+FLP",
		receive: "+FCR", bitOrder: "+FBO", status: "+FPS", abort: "+FKS", quality: [2]string{"+FCQ=0,0", "+FCQ=1,0"}, timeout: "+FCT=30",
		setup:    []string{"+FNR=1,1,1,1", "+FIE=0", "+FLO=2", "+FPP=0"},
		adaptive: [2][]string{{"+FAA=0", "+FAE=0"}, {"+FAA=1", "+FAE=1"}}, addressing: true,
		hex: true, vrMask: true, hangupTable: 1, pageEnd: true, trigger: dc2,
	}
}

// post is a post-message command (T.30 5.3.6.1.6) as the classes number it.
type post int

const (
	postMPS  post = 0
	postEOM  post = 1
	postEOP  post = 2
	postNull post = 3 // PPS-NULL: a partial page, Class 2 only
)

// pageEnds are the codes that follow <DLE> at a page's end (T.32 8.3.3.7).
var pageEnds = map[post]byte{postMPS: 0x2c, postEOM: 0x3b, postEOP: 0x2e}

func (p post) String() string {
	switch p {
	case postMPS:
		return "MPS"
	case postEOM:
		return "EOM"
	case postEOP:
		return "EOP"
	}
	return "PPS-NULL"
}

// plain takes PRI-MPS, PRI-EOM and PRI-EOP (4 to 6) for their plain twins, as T.30 5.3.6.1.6 leaves to the station.
func (p post) plain() post {
	if p >= 4 && p <= 6 {
		return p - 4
	}
	return p
}

// status is a post page response (T.30 5.3.6.1.7) as the classes number it.
type status int

const (
	statusNone status = 0
	statusMCF  status = 1
	statusRTN  status = 2
	statusRTP  status = 3
	statusPIN  status = 4
	statusPIP  status = 5
)

func (s status) String() string {
	if s >= statusMCF && s <= statusPIP {
		return [...]string{"", "MCF", "RTN", "RTP", "PIN", "PIP"}[s]
	}
	return "no status"
}

// taken tells whether the page was accepted.
func (s status) taken() bool { return s == statusMCF || s == statusRTP || s == statusPIP }

// statusOf is the answer to a page by our verdict on it.
func statusOf(v t30.Verdict) status {
	switch v {
	case t30.Good:
		return statusMCF
	case t30.Poor:
		return statusRTP
	}
	return statusRTN
}
