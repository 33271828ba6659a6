-- What halo makes of texts: compared with the C library where that has the same function, and else
-- with what has to hold for any text. The number of lines run has to be in proportion to the text.

local ffi = require "ffi"
local halo = require "halo"
local braces = require "halo.fs.braces"
local pattern = require "halo.fs.pattern"
local perm = require "halo.fs.perm"
local tokens = require "halo.terminal.tokens"

local fs, path = halo.fs, halo.path

ffi.cdef [[
int fnmatch(const char *pattern, const char *string, int flags);
char *__xpg_basename(char *path);
char *dirname(char *path);
]]

local lines_run = _G.lines_run
local FNM_PERIOD = 4
local LINES_A_BYTE, LINES_AT_ONCE = 20000, 200000
local NAME_MAX = 255
local ALTERNATIVES_MAX = 20

local function fail(...)
  error("in texts: " .. string.format(...), 0)
end

local function check(condition, ...)
  if not condition then
    fail(...)
  end
end

---Calls a function that may refuse its arguments, which is told at our line.
local function try(name, fn, ...)
  local ok, result = pcall(fn, ...)
  if ok then
    return true, result
  end
  check(type(result) == "string", "an error of type %s", type(result))
  check(result:find "^spec/fuzz/texts%.lua:%d+: ", "the error blames another: %s", result)
  check(result:find("'" .. name .. "'", 1, true), "another error: %s", result)
  return false, result
end

---The text in two parts, at its first NUL.
local function halves(text)
  local first, second = text:match "^(%Z*)%z(.*)$"
  return first or text, (second or ""):gsub("%z", "")
end

-- ---- patterns -----------------------------------------------------------------------------------

---What fnmatch(3) has not, or has in another way: [:word:], [=c=] and its kin, ranges that end in a
---class, and brackets that do not close.
local function is_plain(text)
  return not text:find "[%[\128-\255]" and not text:find "\\$"
    or text:find "^[^%[%]\\\128-\255]*%[[!^]?%w%-?%w*%][^%[%]\\\128-\255]*$" ~= nil
end

local function names(text)
  local source, name = halves(text)
  if source:find "/" or name:find "/" or #name > NAME_MAX then
    return
  end
  local ok, made = try("glob", pattern.name, source)
  if not ok then
    return
  end
  local fits = made:matches(name)
  check(type(fits) == "boolean", "a match is no boolean")
  if is_plain(source) and source ~= "" and name ~= "" and not name:find "[\128-\255]" then
    local expected = ffi.C.fnmatch(source, name, FNM_PERIOD) == 0
    check(fits == expected, "%q on %q: fnmatch says %s", source, name, tostring(expected))
  end
  -- A name with all its signs taken the meaning off fits itself, and any with a star behind.
  if name ~= "" then
    local literal = name:gsub("[*?%[%]\\]", "\\%0")
    check(pattern.name(literal):matches(name), "%q does not fit itself", name)
    check(pattern.name(literal .. "*"):matches(name), "%q does not fit with a star", name)
  end
end

local function expand(text)
  local ok, found = try("glob", braces.expand, text)
  if not ok then
    return
  end
  check(#found >= 1, "nothing stands for %q", text)
  if not text:find "{" then
    check(#found == 1 and found[1] == text, "%q has no brace", text)
  end
end

---The whole of it, below a directory of the sources that it cannot leave.
local place
local function glob(text)
  place = place or assert(fs.at("spec/simulator", { beneath = true }))
  local known, patterns = pcall(braces.expand, text)
  if known and #patterns > ALTERNATIVES_MAX then
    return -- a search for each of them
  end
  local ok, found = try("glob", place.glob, place, text)
  if not ok or not found then
    return
  end
  for _, name in ipairs(found) do
    local there = place:lstat((name:gsub("(.)/$", "%1")))
    check(there, "%q was found by %q and is not there", name, text)
  end
end

-- ---- paths --------------------------------------------------------------------------------------

local function libc(name, text)
  local copy = ffi.new("char[?]", #text + 1)
  ffi.copy(copy, text)
  return ffi.string(ffi.C[name](copy))
end

local function paths(text)
  local one, other = halves(text)
  local normal = path.normalize(one)
  check(path.normalize(normal) == normal, "%q is not normal", normal)
  check(path.is_absolute(normal) == path.is_absolute(one), "%q begins elsewhere", normal)
  check(not normal:find "//" and not (normal:find "/$" and normal ~= "/"), "%q", normal)
  local dir, base = path.dirname(one), path.basename(one)
  -- POSIX leaves open what two slashes at the start are; glibc keeps them.
  if one ~= "" and not one:find "^//" then
    check(base == libc("__xpg_basename", one), "the last component of %q is %q", one, base)
    check(dir == libc("dirname", one), "the directory of %q is %q", one, dir)
    check(path.normalize(path.join(dir, base)) == normal, "%q and %q are not %q", dir, base, one)
  end
  local extension = path.extension(one)
  check(base:sub(-#extension - 1):find(extension, 1, true), "%q ends in %q", base, extension)
  check(path.basename(one, extension) .. extension == base, "%q without %q", base, extension)
  local joined = path.join(one, other)
  if not path.is_absolute(other) and one ~= "" and other ~= "" then
    local behind = path.normalize(one .. "/" .. other)
    check(path.normalize(joined) == behind, "%q and %q are %q", one, other, joined)
  end
  local absolute = path.absolute(one, "/base")
  check(path.is_absolute(absolute) and path.normalize(absolute) == absolute, "%q", absolute)
  local ok, way = try("relative", path.relative, one, other)
  if ok then
    local there = path.normalize(path.join(other == "" and "." or other, way))
    check(there == normal, "from %q by %q is %q, not %q", other, way, there, normal)
  end
end

-- ---- permissions, modes, code -------------------------------------------------------------------

local function permissions(text)
  for _, default in ipairs { perm.FILE, perm.DIR, 0 } do
    local ok, bits = try("chmod", perm.of_new, text, default, 1, "chmod")
    if ok then
      check(bits >= 0 and bits <= 4095 and bits % 1 == 0, "%q is %s", text, tostring(bits))
      check(not text:find "^[0-7]+$" or bits == tonumber(text, 8), "%q is %o", text, bits)
    end
    -- What sets, and neither adds nor takes, sets the same once more.
    if ok and text:find "^[ugoa]+=[rwxst]*$" then
      check(perm.of_new(text, bits, 1, "chmod") == bits, "%q sets another thing again", text)
    end
  end
  try("umask", perm.of_mask, text, 1, "umask")
end

local modes = {}
for _, mode in ipairs { "r", "r+", "w", "w+", "a", "a+" } do
  modes[mode] = true
end

local function open_modes(text)
  local ok, file = try("open", fs.open, "/dev/null", text)
  if ok and file then
    file:close()
  end
  if modes[text] then
    check(ok and file, "no file by the mode %q", text)
  end
end

---What the prompt does after each key.
local function code(text)
  local behind = 0
  for kind, first, last in tokens.each(text) do
    check(first > behind and (last or #text) >= first, "a %s from %d to %s", kind, first,
      tostring(last))
    behind = last or #text
  end
end

local targets = { names, expand, glob, paths, permissions, open_modes, code }

return function(input)
  if input == "" then
    return
  end
  local target, text = targets[input:byte() % #targets + 1], input:sub(2)
  local before = lines_run()
  target(text)
  local most = LINES_AT_ONCE + LINES_A_BYTE * #text
  check(lines_run() - before <= most, "%d lines for %d bytes", lines_run() - before, #text)
end
