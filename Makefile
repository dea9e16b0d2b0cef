# weft. A thin layer over CMake and tools/; the first two targets are all a newcomer needs.
PREFIX ?= /usr/local
export JOBS

.PHONY: all compare test check lint format bench docs install clean
.NOTPARALLEL:

all: # build only
	@tools/install build
	@tools/build build all -DCMAKE_BUILD_TYPE=Release

compare: # install what is missing, build, compare eight architectures on the default text
	@tools/install build
	@tools/build build weft_cli -DCMAKE_BUILD_TYPE=Release
	@build/weft compare $(ARGS)

test: # set up, build, run the tests (10 minutes at most)
	@tools/test

check: # sanitizers, fuzzing, faults, instruction sets, browser, lint; STEPS="lint asan" runs some of them
	@tools/install build test check
	@tools/check $(STEPS)

lint:
	@tools/lint

format:
	@tools/format

bench: # make bench ARGS="decode --json"
	@tools/install build
	@tools/build build weft_cli -DCMAKE_BUILD_TYPE=Release
	@build/weft bench $(ARGS)

docs: # docs/spec.md from the tables
	@tools/install build
	@tools/build build weft_cli -DCMAKE_BUILD_TYPE=Release
	@build/weft list spec >docs/spec.md

install: # make install PREFIX=/usr/local DESTDIR=
	@tools/install build
	@tools/build build all -DCMAKE_BUILD_TYPE=Release
	@DESTDIR="$(DESTDIR)" cmake --install build --prefix "$(PREFIX)" --strip

clean:
	@rm -rf build build-*
