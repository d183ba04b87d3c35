//go:build peers && !soak

package main

// killCount is how many times the kill test kills; make soak does more.
const killCount = 8

// softlineKillCount is the same through a real soft modem, in real time.
const softlineKillCount = 1

// loadKillCount is the same under load.
const loadKillCount = 8

// loadBacklog is how many mails without a notice make the sessions wait.
const loadBacklog = 24
