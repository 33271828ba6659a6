-- Permission bits as people write them: a number, an octal string ("644"), or symbolic words as
-- chmod(1) takes them ("u=rw,go=r", "+x"). Everything that takes a mode takes it through here.

local bit = require "bit"
local check = require "halo.fs.check"
local core = require "halo.core"

local band, bor, bnot = bit.band, bit.bor, bit.bnot

local perm = {}

local function octal(digits)
  return tonumber(digits, 8)
end

local ALL, TYPE = octal "7777", octal "170000"
local SPECIAL = octal "6000" -- those that a directory keeps unless they are named
local READ, WRITE, EXECUTE = octal "444", octal "222", octal "111"

local users = { u = octal "4700", g = octal "2070", o = octal "1007", a = ALL }
local copied = { u = octal "700", g = octal "70", o = octal "7" }
local letters = { r = READ, w = WRITE, x = EXECUTE, s = SPECIAL, t = octal "1000" }

-- Nobody means 644 apples: as decimals these are other bits than their digits say.
local mistaken = {}
for digits in ("600 640 644 660 664 666 700 750 755 770 775 777"):gmatch "%d+" do
  mistaken[tonumber(digits)] = digits
end

local DECIMAL = 'the decimal %s is %o in octal: write "%s", or %d'
local HELP = 'permissions are a number, as octal digits in a string ("644"), or words ("u=rw,go=r")'

local function fail(value, position, name)
  local got = type(value) == "string" and ("'%s'"):format(value)
    or type(value) == "function" and check.got(value) or tostring(value)
  check.fail(HELP .. ", got " .. got, position, name)
end

local types = {}
for _, value in pairs(core.file_types) do
  types[value] = true
end

---@param full boolean? a stat's mode will do, too
local function of_number(value, position, name, full)
  local digits = mistaken[value]
  if digits then
    check.fail(DECIMAL:format(digits, value, digits, octal(digits)), position, name)
  end
  local whole = value >= 0 and value % 1 == 0
  if whole and value <= ALL then
    return value
  elseif whole and full and value <= ALL + TYPE and types[band(value, TYPE)] then
    return band(value, ALL)
  end
  check.fail(("permissions are a whole number from 0 to 4095 (07777), got %s"):format(value),
    position, name)
end

-- ---- words --------------------------------------------------------------------------------------

---@class halo.PermChange one of those that a text asks for
---@field op "+"|"-"|"="
---@field who integer the bits it is about; 0 where nobody is named
---@field value integer
---@field copies boolean? value says whose bits are copied
---@field searches boolean? and x, where it is a directory or anybody has it
---@field named integer the bits that a directory gives up

---What stands behind an operator, and what is left of the text.
---@return halo.PermChange?
---@return string? rest
local function parse_change(who, op, text)
  local digits, rest = text:match "^([0-7]+)(.*)$"
  if digits then
    local value = octal(digits)
    if who ~= 0 or value > ALL or rest ~= "" and rest:sub(1, 1) ~= "," then
      return nil
    end
    return { op = op, who = ALL, value = value, named = ALL }, rest
  end
  local source = copied[text:sub(1, 1)]
  if source then
    local named = who ~= 0 and band(who, source) or source
    return { op = op, who = who, value = source, copies = true, named = named }, text:sub(2)
  end
  digits, rest = text:match "^([rwxXst]*)(.*)$"
  local value = 0
  for letter in digits:gmatch "[^X]" do
    value = bor(value, letters[letter])
  end
  local named = who ~= 0 and band(who, value) or value
  return { op = op, who = who, value = value, searches = digits:find "X" ~= nil, named = named },
    rest
end

---@return halo.PermChange[]? # nil where the text is none
local function parse(text)
  local changes = {}
  repeat
    local names, rest = text:match "^([ugoa]*)([-+=].*)$"
    if not names then
      return nil
    end
    local who = 0
    for letter in names:gmatch "." do
      who = bor(who, users[letter])
    end
    while rest:find "^[-+=]" do
      local change
      change, rest = parse_change(who, rest:sub(1, 1), rest:sub(2))
      if not change then
        return nil
      end
      changes[#changes + 1] = change
    end
    text = rest:match "^,(.*)$"
    if not text and rest ~= "" then
      return nil
    end
  until not text
  return changes
end

---Copied bits are those of one, for all three.
local function spread(bits)
  local value = 0
  for _, all in ipairs { READ, WRITE, EXECUTE } do
    value = bor(value, band(bits, all) ~= 0 and all or 0)
  end
  return value
end

local function apply(change, mode, is_dir, umask)
  local value = change.value
  if change.copies then
    value = spread(band(value, mode))
  elseif change.searches and (is_dir or band(mode, EXECUTE) ~= 0) then
    value = bor(value, EXECUTE)
  end
  local kept = is_dir and band(SPECIAL, bnot(change.named)) or 0
  value = band(value, change.who ~= 0 and change.who or bnot(umask), bnot(kept))
  if change.op == "+" then
    return bor(mode, value)
  elseif change.op == "-" then
    return band(mode, bnot(value))
  end
  local untouched = bor(change.who ~= 0 and band(bnot(change.who), ALL) or 0, kept)
  return bor(band(mode, untouched), value)
end

local function apply_all(changes, mode, is_dir, umask)
  for _, change in ipairs(changes) do
    mode = apply(change, mode, is_dir, umask)
  end
  return band(mode, ALL)
end

-- ---- what the calls ask for ---------------------------------------------------------------------

local function of_digits(text, position, name)
  local value = text:match "^[0-7]+$" and octal(text)
  if value and value > ALL then
    fail(text, position, name)
  end
  return value
end

---The bits that a value says, or the changes that its words are.
local function read(value, position, name, with_type)
  if type(value) == "number" then
    return of_number(value, position, name, with_type)
  elseif type(value) ~= "string" then
    fail(value, position, name)
  end
  local bits = of_digits(value, position, name)
  return bits, not bits and (parse(value) or fail(value, position, name))
end

---For what is created. Words are about the bits that it would have without them, as for mkdir -m;
---the umask is taken off by the system, as ever.
---@param value any
---@param default integer those bits
---@param position integer
---@param name string
---@return integer? # nil for nil
function perm.of_new(value, default, position, name)
  if value == nil then
    return nil
  end
  local bits, changes = read(value, position, name, false)
  return bits or apply_all(changes, default, default == perm.DIR, 0)
end

---What is written for the masks 022, 027 and 077 where a leading zero means nothing, as in Lua.
local mistaken_masks = { [22] = "022", [27] = "027", [77] = "077" }

---For a umask, of which words would say the opposite.
---@param value any
---@param position integer
---@param name string
---@return integer bits
function perm.of_mask(value, position, name)
  local digits = mistaken_masks[value]
  if digits then
    check.fail(DECIMAL:format(value, value, digits, octal(digits)), position, name)
  elseif type(value) == "number" then
    return of_number(value, position, name)
  end
  local bits = type(value) == "string" and of_digits(value, position, name)
  return bits or check.fail('a mask is a number, or octal digits ("022")', position, name)
end

---For what is there. Words change the bits that it has: it is looked at for them alone.
---@async
---@param value any
---@param position integer
---@param name string
---@param look fun(...): halo.Stat?, string?, string?
---@param ... any for look
---@return integer? bits
---@return string? message
---@return string? code
function perm.of_present(value, position, name, look, ...)
  local bits, changes = read(value, position, name, true)
  if bits then
    return bits
  end
  local present, message, code = look(...)
  if not present then
    return nil, message, code
  end
  return apply_all(changes, band(present.mode, ALL), present.is_dir, core.umask())
end

---What a file and a directory are created with, less the umask.
perm.FILE, perm.DIR = octal "644", octal "777"

return perm
