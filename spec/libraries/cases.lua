-- What programs do with libraries, a function for each, which tells what it finds. As a program,
-- `LUA cases.lua NAME DIRECTORY` runs one of them in an empty directory, which ends up in no text;
-- in halo with a number of tasks behind it, that each do the same in a directory of their own.

local cases = {}

function cases.penlight(root, say)
  local path, dir, file = require "pl.path", require "pl.dir", require "pl.file"
  local List, tablex, pretty = require "pl.List", require "pl.tablex", require "pl.pretty"
  local stringx, utils, data = require "pl.stringx", require "pl.utils", require "pl.data"
  local template, sip, types = require "pl.template", require "pl.sip", require "pl.types"

  local function shortened(name)
    return path.relpath(name, root)
  end

  local function below(list)
    return List(list):map(shortened):sort()
  end

  say("makepath", dir.makepath(path.join(root, "a/b/c")))
  for i = 1, 20 do
    local name = path.join(root, "a/b", "file" .. i .. (i % 2 == 0 and ".txt" or ".lua"))
    say("write", file.write(name, ("line %d\n"):rep(i):format(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
      12, 13, 14, 15, 16, 17, 18, 19, 20)))
  end
  say("getallfiles", below(dir.getallfiles(root, "*.txt")))
  say("getfiles", below(dir.getfiles(path.join(root, "a/b"), "*1*")))
  say("getdirectories", below(dir.getdirectories(path.join(root, "a"))))
  for name, dirs, files in dir.walk(root) do
    say("walk", shortened(name), List(dirs):sort(), List(files):sort())
  end
  say("makepath", dir.makepath(path.join(root, "copy/b")))
  say("clonetree", (dir.clonetree(path.join(root, "a"), path.join(root, "copy"), file.copy)))
  say("copied", below(dir.getallfiles(path.join(root, "copy"))))
  say("read", file.read(path.join(root, "a/b/file7.lua")))
  say("readlines", utils.readlines(path.join(root, "a/b/file3.lua")))
  say("copy", file.copy(path.join(root, "a/b/file1.lua"), path.join(root, "one")))
  say("move", file.move(path.join(root, "one"), path.join(root, "two")))
  say("what", path.isdir(root), path.isfile(path.join(root, "two")), path.exists(root .. "/one"))
  say("size", path.getsize(path.join(root, "two")), path.islink(root), path.isabs(root))
  say("rmtree", dir.rmtree(path.join(root, "copy")))
  say("gone", path.exists(path.join(root, "copy")), (file.read(path.join(root, "copy"))))
  say("normpath", path.normpath "/a/./b/../c", path.relpath("/a/b", "/a/c"), path.splitext "x.tar")

  file.write(path.join(root, "table"), "name value\none 1\ntwo 2\n")
  local read = data.read(path.join(root, "table"))
  say("data", read.fieldnames, read:column_by_name "value")
  say("pretty", pretty.write { 1, 2, { x = "y" }, n = 3 }, pretty.read "{ 1, 2, a = 'b' }")
  say("lists", List { 3, 1, 2 }:sort():map "_ * 2", tablex.merge({ a = 1 }, { b = 2 }, true))
  say("strings", stringx.split("a,b,,c", ","), stringx.strip "  x ", stringx.title "some words")
  say("template", template.substitute("# for i = 1, 3 do\n$(i) \n# end\n", {}))
  local found = {}
  say("sip", sip.match("$v{name}=$d{value}", "x=12", found), found, types.is_callable(print))
end

function cases.luafilesystem(root, say)
  local lfs = require "lfs"
  for i = 1, 100 do
    say("mkdir", lfs.mkdir(root .. "/" .. i))
  end
  local count = 0
  for name in lfs.dir(root) do
    count = count + (lfs.attributes(root .. "/" .. name, "mode") == "directory" and 1 or 0)
  end
  say("count", count, lfs.rmdir(root .. "/1"), lfs.rmdir(root .. "/1"))
  say("touch", lfs.touch(root .. "/2", 1, 2), lfs.attributes(root .. "/2", "modification"))
end

function cases.inspect(_, say)
  local inspect = require "inspect"
  local list = { 1, "two", { three = { 4, 5 } }, [10] = true }
  list.itself = list
  say("inspect", inspect(list), inspect(setmetatable({}, { __index = { 1 } })))
  say("process", inspect({ a = 1, secret = 2 }, {
    newline = "", indent = "",
    process = function(item, at) return at[#at] ~= "secret" and item or nil end,
  }))
end

function cases.argparse(_, say)
  local argparse = require "argparse"
  local parser = argparse("program", "It does what it does.")
  parser:argument("input", "What to read."):args(2)
  parser:option("-o --output", "What to write.", "out")
  parser:flag "-v --verbose":count "*":target "level"
  local runs = parser:command "run"
  runs:option("--times"):convert(tonumber)
  say("parse", parser:parse { "a", "b", "-vv", "--output=x", "run", "--times", "3" })
  say("wrong", parser:pparse { "-x" })
  say("help", parser:get_help(), parser:get_usage())
end

function cases.lpeg(root, say)
  local lpeg, re = require "lpeg", require "re"
  local C, Ct, P, R, S, V = lpeg.C, lpeg.Ct, lpeg.P, lpeg.R, lpeg.S, lpeg.V
  local grammar = P {
    "sum",
    sum = Ct(V "product" * (C(S "+-") * V "product") ^ 0),
    product = Ct(V "value" * (C(S "*/") * V "value") ^ 0),
    value = R "09" ^ 1 / tonumber + "(" * V "sum" * ")",
  }
  say("grammar", grammar:match "1+2*(3-4)", grammar:match "x")
  say("re", re.match("key = value", "{:key: %w+ :} %s* '=' %s* {:value: %w+ :} -> {}"))
  -- A file that is read while the matcher, which is C, is in the middle of its work.
  local name = root .. "/content"
  local file = assert(io.open(name, "w"))
  file:write "included"
  file:close()
  local include = P "@" * lpeg.Cmt(C(R "az" ^ 1), function(_, at, word)
    local from = assert(io.open(root .. "/" .. word))
    local text = from:read "*a"
    from:close()
    return at, text
  end)
  say("include", Ct((include + C(1)) ^ 0):match "a @content b")
end

function cases.cjson(root, say)
  local cjson = require "cjson"
  local name = root .. "/json"
  local file = assert(io.open(name, "w"))
  file:write(cjson.encode { list = { 1, 2.5, "three", false, cjson.null } })
  file:close()
  for line in io.lines(name) do
    say("decode", cjson.decode(line).list[3], #line, cjson.decode(line).list[5] == cjson.null)
  end
  say("wrong", pcall(cjson.decode, '{"a": nope}'))
  say("wrong", pcall(cjson.encode, { [{}] = 1 }))
  say("deep", pcall(cjson.decode, ("["):rep(2000)))
end

function cases.serpent(_, say)
  local serpent = require "serpent"
  local list = { 1, "two", { three = 3 }, print = print, write = io.write, wrap = coroutine.wrap }
  say("line", serpent.line(list, { sortkeys = true, comment = false }))
  local ok, copy = serpent.load(serpent.dump({ 1, { 2 } }, { sortkeys = true }))
  say("load", ok, copy)
end

-- ---- as a program -------------------------------------------------------------------------------

local function show(value, out)
  if type(value) ~= "table" then
    out[#out + 1] = type(value) == "string" and ("%q"):format(value) or tostring(value)
    return
  end
  local keys = {}
  for key in pairs(value) do
    keys[#keys + 1] = key
  end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  out[#out + 1] = "{"
  for _, key in ipairs(keys) do
    out[#out + 1] = tostring(key) .. "="
    show(value[key], out)
    out[#out + 1] = ","
  end
  out[#out + 1] = "}"
end

---What a case says, as one text.
local function text_of(name, directory)
  local lines = {}
  cases[name](directory, function(title, ...)
    local out = { title, ": " }
    for i = 1, select("#", ...) do
      show((select(i, ...)), out)
      out[#out + 1] = " "
    end
    lines[#lines + 1] = table.concat(out)
  end)
  local place = directory:gsub("%p", "%%%0")
  return (table.concat(lines, "\n"):gsub(place, "ROOT")) .. "\n"
end

local name, directory, count = ...

if count then
  local halo = require "halo"
  local places = {}
  for i = 1, tonumber(count) do
    places[i] = directory .. "/" .. i
    assert(halo.fs.mkdir(places[i]))
  end
  local texts = halo.map(places, function(place)
    return text_of(name, place)
  end)
  for _, text in ipairs(texts) do
    assert(text == texts[1], "tasks have found different things")
  end
  io.write(texts[1])
else
  io.write(text_of(name, directory))
end
