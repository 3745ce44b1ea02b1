module attache/test/interop

go 1.26.0
