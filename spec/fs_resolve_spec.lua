-- Paths below a directory that confines, resolved name by name where the kernel has no openat2 or a
-- sandbox denies it: the same answers.

local command = require "spec.support.command"
local denial = require "spec.support.denial"
local resolve_cases = require "spec.support.resolve_cases"
local temp = require "spec.support.temp"

describe("a path below a directory that confines", function()
  local dir = temp.dir()
  local deny_call, why_not = denial.program()
  local lines

  -- What a stranger's link in a sticky directory is depends on a sysctl; halo always refuses it.
  local function without_others(text)
    local file = io.open "/proc/sys/fs/protected_symlinks"
    local protects = file and file:read "*n" == 1
    return protects and text or text:gsub("[^\n]*sticky/others[^\n]*\n", "")
  end

  before_each(function()
    local _, stderr, status = command.run(resolve_cases.script(dir.root))
    assert.same({ "", 0 }, { stderr, status })
    lines = command.halo("spec/support/resolve_cases.lua", dir.root)
  end)

  for _, code in ipairs { "ENOSYS", "EPERM" } do
    it("leads where it does with openat2, denied by " .. code, function()
      if not deny_call then
        pending(why_not)
        return
      end
      local with, complaints = command.run(lines)
      local without, stderr = command.run(command.quote(deny_call, "openat2", code) .. " " .. lines)
      assert.same({ "", "" }, { complaints, stderr })
      local count = select(2, with:gsub("\n", ""))
      assert(count > 4000, count)
      assert.equal(without_others(with), without_others(without))
    end)
  end
end)
