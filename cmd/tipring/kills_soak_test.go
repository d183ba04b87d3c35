//go:build peers && soak

package main

// killCount is how many times the kill test kills.
const killCount = 45

// softlineKillCount is the same through a real soft modem, in real time.
const softlineKillCount = 5
