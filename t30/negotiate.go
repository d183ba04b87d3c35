package t30

// defaults is what a terminal is taken to do where neither its line nor the session says.
var defaults = Capabilities{
	Schemes:     Schemes(V27ter),
	MaxRate:     14400,
	Codings:     Codings(MH) | Codings(MR) | Codings(MMR),
	Resolutions: Resolutions(Standard) | Resolutions(Fine) | Resolutions(Superfine),
	Widths:      Widths(WidthA4) | Widths(WidthB4) | Widths(WidthA3),
	Length:      LengthUnlimited,
}

// limited returns what we can do in a session: the line's capabilities within the session's limit.
func limited(line Capabilities, s Session) Capabilities {
	c := line
	if c.Schemes == 0 {
		c.Schemes = defaults.Schemes
	}
	if l := s.Limit.Schemes; l != 0 && c.Schemes&l != 0 {
		c.Schemes &= l
	}
	c.MaxRate = least(least(c.MaxRate, s.Limit.MaxRate), defaults.MaxRate)
	c.Codings = pick(c.Codings, s.Limit.Codings, defaults.Codings) | Codings(MH)
	c.Resolutions = pick(c.Resolutions, s.Limit.Resolutions, defaults.Resolutions) | Resolutions(Standard)
	c.Widths = pick(c.Widths, s.Limit.Widths, defaults.Widths) | Widths(WidthA4)
	if c.Length = s.Limit.Length; c.Length == 0 {
		c.Length = defaults.Length
	}
	c.ECM = line.ECM && !s.NoECM
	c.ECM64 = c.ECM && s.Limit.ECM64
	if !c.ECM {
		c.Codings &^= Codings(MMR) | Codings(JBIG)
	}
	c.MinScanLine, c.MinScanLineFine = s.Limit.MinScanLine, s.Limit.MinScanLineFine
	c.Schemes, c.MaxRate = reachable(c.Schemes, c.MaxRate)
	c.Subaddress, c.Password, c.SelectivePoll = true, true, s.Send != nil
	return c
}

// reachable takes out the schemes that maxRate leaves nothing of: DIS can only name whole schemes.
func reachable(s Schemes, maxRate int) (Schemes, int) {
	if maxRate < 12000 {
		s &^= Schemes(V17)
	}
	if maxRate < 7200 {
		s &^= Schemes(V29)
	}
	if s == 0 {
		s = Schemes(V27ter)
	}
	return s, maxRate
}

// least is the smaller of two where 0 is "no limit".
func least(a, b int) int {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// pick returns a within limit, 0 of either meaning "not stated".
func pick[T ~uint8 | ~uint16](a, limit, dflt T) T {
	switch {
	case a != 0 && limit != 0:
		return a & limit
	case a != 0:
		return a
	case limit != 0:
		return limit
	}
	return dflt
}

// ladder is the order of fall-back (T.30 Table 2, bits 11-14). V.17 at 7200 only serves where V.29 is not to be had.
var ladder = []Modulation{
	{Scheme: V17, Rate: 14400}, {Scheme: V17, Rate: 12000}, {Scheme: V17, Rate: 9600},
	{Scheme: V29, Rate: 9600}, {Scheme: V17, Rate: 7200}, {Scheme: V29, Rate: 7200},
	{Scheme: V27ter, Rate: 4800}, {Scheme: V27ter, Rate: 2400},
}

// rates returns the part of the ladder that both ends can do.
func rates(own, far Capabilities) []Modulation {
	var out []Modulation
	common := own.Schemes & far.Schemes
	for _, m := range ladder {
		if !common.Has(m.Scheme) || m.Rate > own.MaxRate || far.MaxRate != 0 && m.Rate > far.MaxRate {
			continue
		}
		if m.Scheme == V17 && m.Rate == 7200 && common.Has(V29) {
			continue
		}
		out = append(out, m)
	}
	return out
}

// pageLimit is what page n of a document may be coded for at rate.
func (c *call) pageLimit(n, rate int) PageLimit {
	return LimitFor(c.own, c.far.Capabilities, rate, n)
}

// pageLimit is what a page for far may be coded for at rate.
func pageLimit(own, far Capabilities, rate int) PageLimit {
	l := PageLimit{
		Codings:     own.Codings&far.Codings | Codings(MH),
		Resolutions: own.Resolutions&far.Resolutions | Resolutions(Standard),
		Widths:      own.Widths&far.Widths | Widths(WidthA4),
		Length:      min(own.Length, far.Length),
		ECM:         own.ECM && far.ECM,
		Rate:        rate,
	}
	if l.ECM {
		return l
	}
	l.Codings &^= Codings(MMR) | Codings(JBIG)
	t := scanTimes[scanBitsFor(max(own.MinScanLine, far.MinScanLine), max(own.MinScanLineFine, far.MinScanLineFine), false)]
	l.MinScanLine, l.MinScanLineFine = t[0], t[1]
	return l
}

// allows tells whether a page's format keeps to the limit.
func (l PageLimit) allows(f PageFormat) bool {
	return l.Codings.Has(f.Coding) && l.Resolutions.Has(f.Resolution) && l.Widths.Has(f.Width) && f.Length <= l.Length
}
