package virtual

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// personality is a modem as the field knows it.
type personality struct {
	what string
	o    ModemOptions
}

// earlyConnect is what Lucent, Intel and iaxmodem modems are given before TCF.
const earlyConnect = 400 * time.Millisecond

// courier is how U.S. Robotics does Class 1.
var courier = Class1Habits{ResetOnFRS: true}

// andH1 is its flow control.
var andH1 = SerialHabits{ForcesXonXoff: true, RTSCommand: "&H1"}

// DC2 starts the data of a received page with these modems.
var wantsDC2 = Class2Habits{Trigger: dc2, ReversedReceive: true}

// personalities are the modems by name. Each habit can be switched off in the options that Personality returns; its line of FACTS.md and the call that
// needs the work-around stand in switchOffs (switchoff_test.go), which a test holds complete. Of what each says of itself the comments name the
// documents that have it.
var personalities = map[string]personality{
	"generic": {"Class 1 and 1.0, by the book", ModemOptions{}},
	// No such modem has been heard of: V.34 by the book.
	"superg3": {"Class 1.0 with V.34 fax, by the book", ModemOptions{V34: 33600}},
	// Field: most Class 2 modems reverse the bits of a received page.
	"class2":   {"Class 2 without error correction", ModemOptions{Classes: []string{"0", "1", "2"}, Class2Habits: Class2Habits{ReversedReceive: true}}},
	"class2.0": {"Class 2.0 with error correction", ModemOptions{Classes: []string{"0", "1", "2.0"}, ECM: true}},
	"class2.1": {"Class 2.1 with error correction and copy quality checking", ModemOptions{
		Classes: []string{"0", "1", "1.0", "2", "2.0", "2.1"}, ECM: true, Class2Habits: Class2Habits{ChecksCopy: true},
	}},

	// Field: Rockwell starts the data of a received page at DC2, and reverses its bits. Identity: +FMFR? ROCKWELL and a model by +FMDL? (the table of Class 2
	// modems of Microsoft's fax service); ATI0 the product code, ATI3 version and model (Rockwell's manual of the RC56D and RC336D).
	"rockwell": {"Rockwell RC144, Class 2", ModemOptions{
		Classes: []string{"0", "1", "2"}, Buffer: 1024, RefuseFAR: true, OldIdentity: true,
		Maker: "ROCKWELL", Model: "RC144ACi", Revision: "V2.140", Info: map[int]string{0: "14400", 3: "V2.140-RC144ACi"},
		Class2Habits: wantsDC2,
	}},
	// Field: U.S. Robotics goes to XON/XOFF on entering Class 1, resets on +FRS, and leaves the return to control out in Class 2.0. Identity: ATI7's first
	// line, Class 1 and 2.0 (Courier command reference, support.usr.com); the rest is not confirmed.
	"usr": {"U.S. Robotics Courier, Class 2.0", ModemOptions{
		Classes: []string{"0", "1", "2.0"}, RefuseFAR: true,
		Maker: "U.S. Robotics, Inc.", Model: "Courier V.Everything", Revision: "7.3.14",
		Info:         map[int]string{0: "3366", 3: "USRobotics Courier V.Everything", 7: "USRobotics Courier V.Everything Configuration Profile..."},
		SerialHabits: andH1,
		Class1Habits: courier,
		Class2Habits: Class2Habits{NoRTC: true},
	}},
	// Field: the same, but Class 1 is all that its data sheet has. Identity: not confirmed but the USB plug, 0baf:0303.
	"usr5637": {"U.S. Robotics USR5637 USB, Class 1", ModemOptions{
		Classes: []string{"0", "1"}, RefuseFAR: true,
		Maker: "U.S. Robotics", Model: "USR5637", Revision: "V1.2.23",
		Info:         map[int]string{0: "5601", 3: "U.S. Robotics 56K FAX USB V1.2.23", 7: "USR5637"},
		SerialHabits: andH1,
		Class1Habits: courier,
	}},
	// Field: some MultiTech modems want DC2, and make false starts. Identity: ATI0 and ATI3 are speed and firmware (guide S000263C); the model by +FMM? is
	// not confirmed.
	"multitech": {"MultiTech MT5634, Class 2.1", ModemOptions{
		Classes: []string{"0", "1", "1.0", "2", "2.0", "2.1"}, ECM: true, FalseStarts: 4,
		Maker: "Multi-Tech Systems", Model: "MT5634ZBA-USB-V92", Revision: "1.31m", Info: map[int]string{0: "56000 1.31m", 1: "12AB", 3: "56000 1.31m"},
		Class2Habits: wantsDC2,
	}},
	"mt9234": {"MultiTech MT9234ZBA, Class 2.1", ModemOptions{
		Classes: []string{"0", "1", "1.0", "2", "2.0", "2.1"}, ECM: true, FalseStarts: 4,
		Maker: "Multi-Tech Systems", Model: "MT9234ZBA-USB-CDC-XR", Revision: "1.06", Info: map[int]string{0: "56000 1.06", 1: "12AB", 3: "56000 1.06"},
		Class2Habits: wantsDC2,
	}},
	// Field: an early MultiTech does not reverse the bits of a received page; &E4 is its RTS/CTS. Identity: +FMFR? Multi-Tech, +FMDL? MT1432BA (the same
	// table of Microsoft's).
	"multitech-early": {"MultiTech MT1432, Class 2 with straight bits", ModemOptions{
		Classes: []string{"0", "1", "2"}, RefuseFAR: true, OldIdentity: true,
		Maker: "Multi-Tech", Model: "MT1432BA", Revision: "0408", Info: map[int]string{0: "247", 3: "MT1432BA"},
		SerialHabits: SerialHabits{StartsXonXoff: true, RTSCommand: "&E4"},
	}},
	// Field: some Conexant CX93010 and CX93001 sticks have no Class 2; +FAR=1 lets them change to V.21 by themselves. Identity: ATI0, ATI1, the form of ATI3
	// and +GMI (Conexant 102184B, 100722).
	"conexant": {"Conexant CX93001 USB stick, Class 1", ModemOptions{
		Classes: []string{"0", "1", "1.0", "8"},
		Maker:   "CONEXANT", Model: "ACF", Revision: "CX93001-EIS_V0.2013-V92",
		Info: map[int]string{0: "56000", 1: "255", 3: "CX93001-EIS_V0.2013-V92"},
	}},
	// Field: Silicon Labs wants 100 ms after each state change, ends +FRH by itself after 30 s with OK, and leaves 1.0 out of +FCLASS=?. Identity: ATI0 the
	// chip's revision, ATI6 its number (Si2401's data sheet, the same command set); the rest is not confirmed.
	"si2435": {"Silicon Labs Si2435, Class 1", ModemOptions{
		Maker: "Silicon Labs", Model: "Si2435", Revision: "D", Info: map[int]string{0: "D", 1: "0B2B", 3: "Si2435", 6: "2435"},
		ListenLimit: 30 * time.Second, RefuseFAR: true,
		Class1Habits: Class1Habits{DeafAfterResult: 100 * time.Millisecond, Hides: []string{"1.0"}},
		LineHabits:   LineHabits{LineStatus: "LINE IN USE"},
	}},
	// Field: Lucent makes false starts, CONNECT and then NO CARRIER; it says CONNECT before it has trained, spoils what comes first, and breaks XON/XOFF.
	// Identity: +FMI and +FMM (Lucent's AT manual of host-based modems, 1998); ATI0 and ATI3 alike, the name and the driver's version (Toshiba's manual).
	"lucent": {"Lucent soft modem, Class 1", ModemOptions{
		Classes: []string{"0", "1"}, RefuseFAR: true, FalseStarts: 4,
		Maker: "Lucent Data/Fax", Model: "Data/Fax", Revision: "5.66",
		Info:         map[int]string{0: "LT V.90 Data+Fax Modem Version 5.66", 3: "LT V.90 Data+Fax Modem Version 5.66"},
		SerialHabits: SerialHabits{StartsXonXoff: true, BreaksXonXoff: true},
		Class1Habits: Class1Habits{EarlyConnect: earlyConnect, SpoiltFirst: true},
	}},
	// Field: an old ZyXEL says ERROR for a wrong carrier. Its manuals: Class 1 is not named until S57 says so; &H3 is its RTS/CTS. Identity: ATI0 the product
	// code, ATI1 product and checksum (quick reference of the U-1496); the rest is not confirmed.
	"zyxel": {"ZyXEL U-1496E, Class 1, 2 and 2.0", ModemOptions{
		Classes: []string{"0", "1", "2", "2.0"}, RefuseFAR: true,
		Maker: "ZyXEL", Model: "U-1496E", Revision: "V 6.13", Info: map[int]string{0: "1496", 1: "U-1496E V 6.13 P"},
		SerialHabits: SerialHabits{RTSCommand: "&H3"},
		Class1Habits: Class1Habits{WrongCarrierIsError: true, Hides: []string{"1"}},
		Class2Habits: Class2Habits{ReversedReceive: true},
	}},
	// No habit is known. Identity: not confirmed but the USB plug.
	"zoom": {"Zoom 3095 USB, Class 1", ModemOptions{
		Classes: []string{"0", "1", "1.0"},
		Maker:   "Zoom Telephonics", Model: "Zoom/Modem 3095", Revision: "V2.220", Info: map[int]string{0: "56000", 3: "Zoom V.92 USB Mini 3095"},
	}},
	// Field: iaxmodem says CONNECT before it has trained; its OK to a frame comes when the carrier is off. It says that it is spandsp: only its port
	// (ttyIAX) tells. Identity: spandsp's own, seen in softline.
	"iaxmodem": {"iaxmodem, a soft modem on spandsp", ModemOptions{
		Maker: "www.soft-switch.org", Model: "spandsp", Revision: "0.0.6", Info: map[int]string{0: "spandsp", 3: "www.soft-switch.org"},
		OKAtCarrierEnd: true, Class1Habits: Class1Habits{EarlyConnect: earlyConnect},
	}},
}

// Personality returns the options of a modem that has the habits of a known one; Personalities tells the names.
func Personality(name string) (ModemOptions, error) {
	p, ok := personalities[name]
	if !ok {
		return ModemOptions{}, fmt.Errorf("virtual: no such personality %q (%v)", name, Personalities())
	}
	o := p.o
	o.Classes = slices.Clone(o.Classes)
	o.Info = maps.Clone(o.Info)
	return o, nil
}

// Personalities are the names that Personality knows, sorted.
func Personalities() []string { return slices.Sorted(maps.Keys(personalities)) }

// Describe tells in a few words what the personality is.
func Describe(name string) string { return personalities[name].what }
