// SPDX-License-Identifier: GPL-2.0-only
/**
 * `--toggle NAME=a,b`: the one thing that differs between A and B. NAME is an option of `run`
 * without its dashes, as the command line or the library writes it, or a sysctl.
 */
import type { Command, Option } from 'commander';
import { SYSCTLS } from '../config_schema.ts';
import { oneLine, UsageError } from '../errors.ts';
import type { SideName, Toggle } from '../report/compare/compare_report.ts';
import { nearNames } from '../report/compare/near_names.ts';
import type { RunFlags } from './run_command.ts';

/** Options of `compare` that say nothing of a machine. */
const NOT_TOGGLED = ['toggle', 'runs', 'jobs', 'same', 'against', 'failOn', 'keepReports'];
const NOT_TOGGLED_OUTPUT = ['json', 'all', 'quiet', 'html', 'perfetto', 'set', 'timeout'];

const bad = (text: string, hint: string): UsageError =>
  new UsageError(`--toggle: '${oneLine(text, 60)}' will not do; ${hint}`);

/** @throws UsageError for more than one, or for what is none */
export function parseToggle(texts: readonly string[]): Toggle {
  const [text = ''] = texts;
  if (texts.length > 1) {
    throw new UsageError('--toggle: one at a time, so that what differs has one cause');
  }
  const at = text.indexOf('=');
  const [a, b, ...more] = text.slice(at + 1).split(',');
  const whole = at > 0 && a !== undefined && b !== undefined;
  if (!whole || a.trim() === '' || b.trim() === '' || more.length > 0) {
    throw bad(text, 'give NAME=A,B with two values, such as swappiness=10,100');
  }
  return { name: text.slice(0, at).trim(), a: a.trim(), b: b.trim() };
}

const camel = (name: string): string =>
  name.replace(/^--/, '').replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());

function togglable(command: Command): Option[] {
  const out = [...NOT_TOGGLED, ...NOT_TOGGLED_OUTPUT];
  return command.options.filter((option) => !out.includes(option.attributeName()));
}

function findOption(command: Command, name: string): Option {
  const options = togglable(command);
  const option = options.find((one) => one.attributeName() === camel(name));
  if (option !== undefined) return option;
  const known = options.map((one) => (one.long ?? '').replace(/^--(no-)?/, ''));
  const near = nearNames(name, [...known, ...Object.keys(SYSCTLS)]);
  const hint =
    near.length > 0 ? `near are ${near.join(', ')}` : 'give an option of run, or a sysctl';
  throw new UsageError(`--toggle: no option or sysctl '${oneLine(name, 40)}'; ${hint}`);
}

/** @throws UsageError for an option that is given beside the toggle, as itself or as a sysctl */
function checkOnce(command: Command, { name }: Toggle): void {
  const config = SYSCTLS[name] ?? camel(name);
  const { set = [] } = command.opts<RunFlags>();
  const sysctls = set.map((text) => SYSCTLS[(text.split('=')[0] as string).trim()]);
  const given = command.getOptionValueSource(config) === 'cli';
  if (!given && !sysctls.includes(config as (typeof sysctls)[number])) return;
  throw new UsageError(`--toggle: ${oneLine(name, 40)} is given beside it; leave that out`);
}

function optionValue(option: Option, toggle: Toggle, text: string): unknown {
  if (!option.isBoolean() && !option.negate) {
    return option.parseArg === undefined ? text : option.parseArg(text, undefined);
  }
  if (text !== 'on' && text !== 'off') {
    throw bad(`${toggle.name}=${toggle.a},${toggle.b}`, 'give on and off');
  }
  // A switch that is off is not there; a `--no-x` is there, as false.
  return text === 'on' ? true : option.negate ? false : undefined;
}

/**
 * The command line of each side.
 * @param command with its options parsed @throws UsageError for a toggle that there is not
 */
export function toggledFlags(
  command: Command,
  flags: RunFlags,
  toggle: Toggle,
): Record<SideName, RunFlags> {
  checkOnce(command, toggle);
  const { name } = toggle;
  if (Object.hasOwn(SYSCTLS, name)) {
    const side = (value: string): RunFlags => ({
      ...flags,
      set: [...(flags.set ?? []), `${name}=${value}`],
    });
    return { a: side(toggle.a), b: side(toggle.b) };
  }
  const option = findOption(command, name);
  const side = (text: string): RunFlags => ({
    ...flags,
    [option.attributeName()]: optionValue(option, toggle, text),
  });
  return { a: side(toggle.a), b: side(toggle.b) };
}
