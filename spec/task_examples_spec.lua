-- The programs in examples/ that show how tasks go together, each on a small tree.

local command = require "spec.support.command"
local eventually = require "spec.support.eventually"
local temp = require "spec.support.temp"
local tree = require "spec.support.tree"

local run, quote = command.run, command.quote

---A line that runs an example.
local function example(name, ...)
  return command.halo("examples/" .. name .. ".lua", ...)
end

local items = {
  "empty/", "pipe|", "link -> a", "dangling -> nope",
  "a/first=one two\nthree\n",
  "a/second=no newline at the end",
  "a/nothing",
  "a/b/deep=\n\n  spaces  and\ttabs  \n",
  "a.b=the dot comes before the slash: two\n",
  "z=a two\nnone\nand two\n",
}

local names = { "a/b/deep", "a/first", "a/nothing", "a/second", "a.b", "z" } -- in a walk's order

describe("examples/grep.lua", function()
  local dir = temp.dir()

  ---What grep(1) finds, in the order of paths and lines.
  local function expected(pattern)
    return (run(("export LC_ALL=C; grep -rnI %s %s | sort -t: -k1,1 -k2,2n"):format(
      quote(pattern), quote(dir.root))))
  end

  before_each(function()
    tree.make(dir.root, items)
  end)

  for _, pattern in ipairs { "two", "o", "^", "^$", "no newline", "[oe]$", "^  " } do
    it(("finds what grep -rn does, in order: %q"):format(pattern), function()
      local wanted = expected(pattern)
      assert.not_equal("", wanted)
      assert.same({ wanted, "", 0 }, { run(example("grep", pattern, dir.root)) })
    end)
  end

  it("finds what grep -rn does in a hundred files of hundreds of lines", function()
    for i = 1, 100 do
      local lines = {}
      for line = 1, 200 + i do lines[line] = ("%d of %d"):format(line * i % 17, i) end
      dir:file("many" .. i, table.concat(lines, "\n"))
    end
    local stdout, stderr, status = run(example("grep", "^16 ", dir.root))
    assert.is_true(stdout == expected("^16 "))
    assert.same({ "", 0 }, { stderr, status })
  end)

  it("takes the directory it is in when it is given none", function()
    local line = "cd " .. quote(dir.root) .. " && " .. quote(command.halo_bin)
      .. " \"$OLDPWD/examples/grep.lua\" three"
    assert.same({ "./a/first:2:three\n", "", 0 }, { run(line) })
  end)

  it("has status 1 where nothing is found", function()
    assert.same({ "", "", 1 }, { run(example("grep", "no such words", dir.root)) })
  end)

  it("says of a binary file that it matches, as grep does", function()
    local path = dir:file("z.o", "six\nthen\0a zero byte\n")
    for _, pattern in ipairs { "zero byte", "^six$" } do
      assert.same({ ("grep: %s: binary file matches\n"):format(path), "", 0 },
        { run(example("grep", pattern, dir.root)) })
    end
  end)

  it("finds a text in a file that is larger than its buffer", function()
    dir:file("large", ("x"):rep(300000) .. "\nthe needle (1.5*)\n")
    assert.same({ dir:path "large" .. ":2:the needle (1.5*)\n", "", 0 },
      { run(example("grep", "needle", dir.root)) })
  end)

  it("tells a path that is missing, with status 2 as grep", function()
    assert.same({ "", "grep: ENOENT: no such file or directory: /nope\n", 2 },
      { run(example("grep", "x", "/nope")) })
  end)

  it("says how it is used, with status 2", function()
    assert.same({ "", "usage: grep.lua pattern [directory]\n", 2 }, { run(example("grep")) })
  end)
end)

describe("examples/pipeline.lua", function()
  local dir = temp.dir()

  ---The numbers and names of lines like those of wc(1).
  local function parse(output)
    local counts = {}
    for lines, words, name in output:gmatch(" *(%d+) +(%d+) ([^\n]+)\n") do
      table.insert(counts, { name, tonumber(lines), tonumber(words) })
    end
    return counts
  end

  it("counts what wc -lw does, in the order of the walk, with a total", function()
    tree.make(dir.root, items)
    local there = "cd " .. quote(dir.root) .. " && "
    local stdout, stderr, status = run(there .. quote(command.halo_bin)
      .. " \"$OLDPWD/examples/pipeline.lua\"")
    local expected = parse((run(there .. "LC_ALL=C wc -lw ./" .. table.concat(names, " ./"))))
    assert.equal(#names + 1, #expected)
    assert.same(expected, parse(stdout))
    assert.same({ "", 0 }, { stderr, status })
  end)

  it("keeps the order with more files than its channels and tasks hold", function()
    local expected = {}
    for i = 1, 400 do
      local name = ("file%03d"):format(i)
      expected[i] = { dir:file(name, ("a word\n"):rep(i % 7 == 0 and 3000 or i)), i, 2 * i }
      if i % 7 == 0 then expected[i][2], expected[i][3] = 3000, 6000 end
    end
    local stdout, stderr, status = run(example("pipeline", dir.root))
    local counts = parse(stdout)
    assert.equal("total", table.remove(counts)[1])
    assert.same(expected, counts)
    assert.same({ "", 0 }, { stderr, status })
  end)

  it("has a total of nothing", function()
    assert.same({ { "total", 0, 0 } }, parse((run(example("pipeline", dir.root)))))
  end)

  it("tells a path that is missing, with status 1", function()
    local stdout, stderr, status = run(example("pipeline", "/nope"))
    assert.same({ { "total", 0, 0 } }, parse(stdout))
    assert.same({ "pipeline: ENOENT: no such file or directory: /nope\n", 1 }, { stderr, status })
  end)
end)

describe("examples/deadline.lua", function()
  local dir, scratch = temp.dir(), temp.dir()

  ---A line that runs it with its temporary file in scratch.
  local function deadline(...)
    return "env TMPDIR=" .. quote(scratch.root) .. " " .. example("deadline", ...)
  end

  ---A file of so many GiB that it takes minutes to copy, and no room.
  local function make_endless()
    assert(os.execute("truncate -s 1000G " .. quote(dir:path("endless"))) == 0)
  end

  local function is_clean()
    assert.same({}, tree.list(scratch.root))
  end

  it("copies all there is where the time allows it", function()
    tree.make(dir.root, items)
    local bytes = run("cd " .. quote(dir.root) .. " && cat " .. table.concat(names, " ")):len()
    assert.same({ ("the end: %d files, %d bytes\n"):format(#names, bytes), "", 0 },
      { run(deadline("1000", dir.root)) })
    is_clean()
  end)

  it("ends when the time is up, with status 1", function()
    make_endless()
    local stdout, stderr, status = run(deadline("0.02", dir.root))
    assert.matches("^the time is up: 0 files, %d+ bytes\n$", stdout)
    assert.same({ "", 1 }, { stderr, status })
    is_clean()
  end)

  it("removes its temporary file after an interruption too", function()
    make_endless()
    local process = command.start(deadline("1000", dir.root))
    eventually("it copies", function() return #tree.list(scratch.root) == 1 end)
    assert.is_true(process:signal("INT"))
    local stdout, _, status = process:finish()
    assert.same({ "", 130 }, { stdout, status })
    is_clean()
  end)

  it("removes its temporary file after an error too", function()
    make_endless()
    local _, stderr, status = run("ulimit -f 2048; trap '' XFSZ; " .. deadline("1000", dir.root))
    assert.matches("^halo: [^\n]*EFBIG: ", stderr)
    assert.equal(1, status)
    is_clean()
  end)

  it("tells a path that is missing, with status 1", function()
    assert.same({ "the end: 0 files, 0 bytes\n",
      "deadline: ENOENT: no such file or directory: /nope\n", 1 }, { run(deadline("9", "/nope")) })
    is_clean()
  end)

  it("says how it is used, with status 2", function()
    local usage = "usage: deadline.lua seconds [directory]\n"
    for _, wrong in ipairs { "soon", "-1", "" } do
      assert.same({ "", usage, 2 }, { run(deadline(wrong)) })
    end
  end)
end)
