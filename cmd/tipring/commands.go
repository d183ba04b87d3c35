package main

// commands lists all, in the order help shows them.
func commands() []command {
	return []command{
		{name: "submit", usage: submitUsage, run: submitMain},
		{name: "queue", usage: queueUsage, run: queueMain},
		{name: "faxes", usage: faxesUsage, run: faxesMain},
		{name: "route", usage: routeUsage, run: routeMain},
		{name: "rule", usage: ruleUsage, run: ruleMain},
		{name: "convert", usage: convertUsage, run: convertMain},
		{name: "inspect", usage: inspectUsage, run: inspectMain},
		{name: "version", usage: "version", run: versionMain},
	}
}
