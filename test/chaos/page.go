package main

func writePage(path string, rep *report) error { return nil }
