package t30

import "fmt"

// FCF is a facsimile control field (T.30 5.3.6) as T.31 carries it, first bit sent lowest, its X bit taken as 0.
// Fields of the DIS/DTC group have no X bit: their first bit tells DIS from DTC.
type FCF byte

// Facsimile control fields.
const (
	FcfDIS FCF = 0x80 // digital identification signal (5.3.6.1.1)
	FcfCSI FCF = 0x40 // called subscriber identification
	FcfNSF FCF = 0x20 // non-standard facilities
	FcfDTC FCF = 0x81 // digital transmit command (5.3.6.1.2)
	FcfCIG FCF = 0x41 // calling subscriber identification
	FcfNSC FCF = 0x21 // non-standard facilities command
	FcfPWD FCF = 0xc1 // password for polling
	FcfSEP FCF = 0xa1 // selective polling
	FcfPSA FCF = 0x61 // polled subaddress
	FcfDCS FCF = 0x82 // digital command signal (5.3.6.1.3)
	FcfTSI FCF = 0x42 // transmitting subscriber identification
	FcfNSS FCF = 0x22 // non-standard set-up
	FcfSUB FCF = 0xc2 // subaddress
	FcfSID FCF = 0xa2 // sender identification: the password that goes with DCS
	FcfCTC FCF = 0x12 // continue to correct (A.4.1)
	FcfCFR FCF = 0x84 // confirmation to receive (5.3.6.1.4)
	FcfFTT FCF = 0x44 // failure to train
	FcfCTR FCF = 0xc4 // response to continue to correct
	FcfEOM FCF = 0x8e // end of message (5.3.6.1.6)
	FcfMPS FCF = 0x4e // multi-page signal
	FcfEOP FCF = 0x2e // end of procedures
	FcfPRM FCF = 0x5e // procedure interrupt MPS
	FcfPRE FCF = 0x9e // procedure interrupt EOM
	FcfPRP FCF = 0x3e // procedure interrupt EOP
	FcfEOR FCF = 0xce // end of retransmission (A.4.3)
	FcfPPS FCF = 0xbe // partial page signal
	FcfRR  FCF = 0x6e // receive ready
	FcfMCF FCF = 0x8c // message confirmation (5.3.6.1.7)
	FcfRTP FCF = 0xcc // retrain positive
	FcfRTN FCF = 0x4c // retrain negative
	FcfPIP FCF = 0xac // procedure interrupt positive
	FcfPIN FCF = 0x2c // procedure interrupt negative
	FcfPPR FCF = 0xbc // partial page request (A.4.4)
	FcfRNR FCF = 0xec // receive not ready
	FcfERR FCF = 0x1c // response for end of retransmission
	FcfFDM FCF = 0xfc // file diagnostics message
	FcfDCN FCF = 0xfa // disconnect (5.3.6.1.8)
	FcfCRP FCF = 0x1a // command repeat
	FcfFNV FCF = 0xca // field not valid
	FcfTNR FCF = 0xea // transmit not ready
	FcfTR  FCF = 0x6a // transmit ready
	FcfFCD FCF = 0x06 // facsimile coded data (A.3.6.1): on the high-speed carrier
	FcfRCP FCF = 0x86 // return to control for partial page (A.3.6.2)

	// FcfNULL is the second FCF of PPS and EOR within a page.
	FcfNULL FCF = 0x00
)

var fcfNames = map[FCF]string{
	FcfDIS: "DIS", FcfCSI: "CSI", FcfNSF: "NSF", FcfDTC: "DTC", FcfCIG: "CIG", FcfNSC: "NSC", FcfPWD: "PWD",
	FcfSEP: "SEP", FcfPSA: "PSA", FcfDCS: "DCS", FcfTSI: "TSI", FcfNSS: "NSS", FcfSUB: "SUB", FcfSID: "SID",
	FcfCTC: "CTC", FcfCFR: "CFR", FcfFTT: "FTT", FcfCTR: "CTR", FcfEOM: "EOM", FcfMPS: "MPS", FcfEOP: "EOP",
	FcfPRM: "PRI-MPS", FcfPRE: "PRI-EOM", FcfPRP: "PRI-EOP", FcfEOR: "EOR", FcfPPS: "PPS", FcfRR: "RR",
	FcfMCF: "MCF", FcfRTP: "RTP", FcfRTN: "RTN", FcfPIP: "PIP", FcfPIN: "PIN", FcfPPR: "PPR", FcfRNR: "RNR",
	FcfERR: "ERR", FcfFDM: "FDM", FcfDCN: "DCN", FcfCRP: "CRP", FcfFNV: "FNV", FcfTNR: "TNR", FcfTR: "TR",
	FcfFCD: "FCD", FcfRCP: "RCP", FcfNULL: "NULL",
}

func (f FCF) String() string {
	if s, ok := fcfNames[f]; ok {
		return s
	}
	return fmt.Sprintf("FCF(%02x)", byte(f))
}

// known tells whether the field is one of T.30's.
func (f FCF) known() bool { _, ok := fcfNames[f]; return ok && f != FcfNULL }

// xBit is the first bit of the FCF: 1 from the station that received the last DIS (T.30 5.3.6.1).
const xBit = 0x01

// hasX tells whether an octet on the line is an FCF with an X bit. The DIS group, the DTC group and NULL have 000 after
// their first bit.
func hasX(b byte) bool { return b&0x0e != 0 }

// fcfOf takes the X bit out of an octet from the line.
func fcfOf(b byte) FCF {
	if hasX(b) {
		b &^= xBit
	}
	return FCF(b)
}

// octet puts the X bit in where the field has one.
func (f FCF) octet(x bool) byte {
	if x && hasX(byte(f)) {
		return byte(f) | xBit
	}
	return byte(f)
}
