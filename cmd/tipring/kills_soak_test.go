//go:build peers && soak

package main

// killCount is how many times the kill test kills.
const killCount = 45
