package class2

// Quirks is how a modem departs from its class's documents. The zero value is a modem as its class has it.
type Quirks struct {
	// ReceivedBits is the bit order of received pages with +FBOR=0: "" as the class has it (Class 2 reversed, as Rockwell made it;
	// 2.0 and 2.1 direct), "direct" or "reversed". Field: early MultiTech of Class 2 is direct.
	ReceivedBits string `quirk:"received_bits" values:"direct,reversed"`
	// Trigger is what makes the modem deliver a page after +FDR's CONNECT: "" as the class has it (Class 2 DC1, 2.0 and 2.1 DC2),
	// "dc1" or "dc2". Field: Rockwell and some MultiTech of Class 2 want DC2.
	Trigger string `quirk:"trigger" values:"dc1,dc2"`
	// NoXON is a modem of Class 2 that sends no XON after +FDT's CONNECT.
	NoXON bool `quirk:"no_xon"`
	// Hex is a modem of Class 2 that gives its parameters in hexadecimal, as 2.0 does.
	Hex bool `quirk:"hex"`
	// NoMMR is a modem that corrupts MMR. Field: some firmware of Class 2.0.
	NoMMR bool `quirk:"no_mmr"`
	// NoECM is a modem whose error correction does not work. Field: Supra of Class 2 receives with it, but does not confirm.
	NoECM bool `quirk:"no_ecm"`
	// NoRTC is a modem that ends pages with a return to control of its own and cannot stand ours. By default ours is sent: U.S. Robotics
	// of Class 2.0 adds none, and a receiver stops at the first of two.
	NoRTC bool `quirk:"no_rtc"`
	// TrustQuality confirms received pages as the modem's own copy quality check says, not as our decoder does. Field: +FCQ may lie, and
	// line counts are not to be trusted.
	TrustQuality bool `quirk:"trust_quality"`
	// BareDLE is a modem that does not double DLE in what it receives.
	BareDLE bool `quirk:"bare_dle"`
}

func (q Quirks) reversed(d *dialect) bool {
	return q.ReceivedBits == "reversed" || q.ReceivedBits != "direct" && d.reversed
}

func (q Quirks) trigger(d *dialect) byte {
	switch q.Trigger {
	case "dc1":
		return dc1
	case "dc2":
		return dc2
	}
	return d.trigger
}
