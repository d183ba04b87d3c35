//go:build peers && soak

package main

// killCount is how many times the kill test kills.
const killCount = 45

// softlineKillCount is the same through a real soft modem, in real time.
const softlineKillCount = 5

// loadKillCount is the same under load.
const loadKillCount = 200

// loadBacklog is how many mails without a notice make the sessions wait.
const loadBacklog = 60
