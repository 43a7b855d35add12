// SPDX-License-Identifier: MIT
/**
 * The edits that make element accesses visible, one rule per form:
 *
 *   form              becomes                                          where
 *   a[i]              a[R(a, i, s)]                                    R returns i
 *   f()[i]            (o = f())[R(o, i, s)]                            o, k, x, y: temporaries
 *   a[i] = v          a[i] = W(a, i, v, s)                             W returns v
 *   a[i] += v         a[i] = W(a, i, a[R(a, i, s)] + (v), s2)
 *   a[i] ||= v        ((o = a)[R(o, k = i, s)] || (o[k] = W(o, k, v, s2)))
 *   ++a[i]            (a[i] = W(a, i, (x = a[R(a, i, s)], ++x), s2))
 *   a[i]++            (a[i] = W(a, i, (x = a[R(a, i, s)], y = x++, x), s2), y)
 *   [a[i]] = v        [T(a, i, s).v] = v                               v is a setter
 *   a.fill(0, 1)      a.fill(0, A(1, s))                               A notes s, returns 1
 *
 * The access itself stays where it was, with its own inline cache, its own `this` and its own
 * optional chain; only its key, or the value stored, goes through a helper. Operands are evaluated
 * once and in the order of the language: a helper gets what the reference was made from as its
 * first arguments, before anything else is evaluated. Every edit keeps the number of lines.
 *
 * A temporary belongs to the function around it. Those of one depth are used again as soon as
 * their helper has them; a key that has accesses of its own goes one depth down. Where there is no
 * function body to declare them in (default parameters, class fields) each site has its own, and
 * forms whose key runs other code in between are left as they are, and listed.
 */
import type { AnyNode, MemberExpression, Node } from 'acorn';
import type MagicString from 'magic-string';
import { CALL_METHODS } from './method_names.ts';

/** What a site does: reads, writes, calls a method that may do both. */
export const SITE_READ = 0;
export const SITE_WRITE = 1;
export const SITE_CALL = 2;

/** A form that was left as it was. */
export interface Skipped {
  /** Offset in the source. */
  readonly start: number;
  readonly why: string;
}

/** Where temporaries of a piece of code live. */
interface Scope {
  /** It has a body to declare them in; else they are the module's, one set per site. */
  readonly own: boolean;
  readonly names: Set<string>;
  depth: number;
}

interface Element extends MemberExpression {
  computed: true;
}

/** Names of one site's operands in the edited source. */
interface Operands {
  readonly object: string;
  readonly key: string;
  readonly storesObject: boolean;
  readonly storesKey: boolean;
}

const LISTS = new Set(['Program', 'BlockStatement', 'SwitchCase', 'StaticBlock']);
/** Nodes that run code of others, or let time pass. */
const RUNS = new Set([
  'CallExpression',
  'NewExpression',
  'TaggedTemplateExpression',
  'YieldExpression',
  'AwaitExpression',
  'ImportExpression',
]);
const SKIPPED_KEYS = new Set(['type', 'start', 'end', 'loc', 'range']);

/** The nodes right below a node, in no promised order. */
export function childrenOf(node: Node): AnyNode[] {
  const found: AnyNode[] = [];
  for (const [key, value] of Object.entries(node)) {
    if (SKIPPED_KEYS.has(key) || typeof value !== 'object' || value === null) continue;
    if (Array.isArray(value)) {
      for (const item of value) if (isNode(item)) found.push(item);
    } else if (isNode(value)) found.push(value);
  }
  return found;
}

function isNode(value: unknown): value is AnyNode {
  return typeof value === 'object' && value !== null && typeof (value as Node).type === 'string';
}

/** Evaluating it may run other code. */
function runsCode(node: AnyNode): boolean {
  return RUNS.has(node.type) || childrenOf(node).some(runsCode);
}

function bare(node: AnyNode): AnyNode {
  let inner = node;
  while (inner.type === 'ParenthesizedExpression') inner = inner.expression;
  return inner;
}

/** An element that may be one of a view: `a[i]`, not `a['name']`, not `super[i]`. */
function isElement(node: AnyNode): node is Element {
  if (node.type !== 'MemberExpression' || !node.computed || node.object.type === 'Super') {
    return false;
  }
  const key = bare(node.property);
  return !(key.type === 'Literal' && typeof key.value === 'string' && !/^\d+$/.test(key.value));
}

/** Evaluating it twice in a row is evaluating it once. */
function isStable(node: AnyNode): boolean {
  return (
    node.type === 'Identifier' ||
    node.type === 'ThisExpression' ||
    (node.type === 'Literal' && typeof node.value === 'number')
  );
}

/** A link of an optional chain before this one may end the chain: no parentheses round it. */
function inShortCircuit(object: AnyNode): boolean {
  let link = object;
  for (;;) {
    if (link.type === 'MemberExpression') {
      if (link.optional) return true;
      link = link.object as AnyNode;
    } else if (link.type === 'CallExpression') {
      if (link.optional) return true;
      link = link.callee as AnyNode;
    } else return false;
  }
}

/** Rewrites one tree. */
export class Rewriter {
  readonly sites: { start: number; kind: number }[] = [];
  readonly skipped: Skipped[] = [];
  /** Temporaries to declare at the top of the module. */
  readonly moduleNames = new Set<string>();
  readonly #source: string;
  readonly #edit: MagicString;
  readonly #prefix: string;
  #scope: Scope;
  #strict: boolean;
  /** Offsets at which an edit put a parenthesis. */
  readonly #parens = new Set<number>();

  /** @param prefix of every name that is added @param strict the whole source is strict code */
  constructor(source: string, edit: MagicString, prefix: string, strict: boolean) {
    this.#source = source;
    this.#edit = edit;
    this.#prefix = prefix;
    this.#strict = strict;
    this.#scope = { own: true, names: this.moduleNames, depth: 0 };
  }

  /** Edits everything below a node. */
  visit(node: AnyNode): void {
    if (isElement(node)) {
      this.#read(node);
      return;
    }
    switch (node.type) {
      case 'MemberExpression':
        if (node.computed && node.object.type === 'Super') this.#skip(node, 'an element of super');
        this.#children(node);
        break;
      case 'AssignmentExpression':
        this.#assignment(node);
        break;
      case 'UpdateExpression':
        this.#update(node, false);
        break;
      case 'CallExpression':
        this.#call(node);
        break;
      case 'UnaryExpression':
        this.#unary(node);
        break;
      case 'FunctionDeclaration':
      case 'FunctionExpression':
      case 'ArrowFunctionExpression':
        this.#function(node);
        break;
      case 'PropertyDefinition':
        if (node.computed) this.visit(node.key as AnyNode);
        if (node.value) this.#without(node.value);
        break;
      case 'StaticBlock':
        this.#without(node);
        break;
      case 'ClassDeclaration':
      case 'ClassExpression':
        this.#class(node);
        break;
      case 'ForInStatement':
      case 'ForOfStatement':
        this.#forEach(node);
        break;
      case 'VariableDeclarator':
        this.#pattern(node.id as AnyNode);
        if (node.init) this.visit(node.init);
        break;
      case 'CatchClause':
        if (node.param) this.#pattern(node.param as AnyNode);
        this.visit(node.body);
        break;
      case 'WithStatement':
        this.visit(node.object);
        this.#skip(node.body, 'in a with statement');
        break;
      default:
        this.#children(node);
        break;
    }
  }

  #children(node: AnyNode): void {
    const isList = LISTS.has(node.type);
    for (const child of childrenOf(node)) {
      if (child.type === 'ExpressionStatement' || child.type === 'ForStatement') {
        this.#statement(child);
      } else this.visit(child);
      // A statement that now starts with a parenthesis must not become arguments of the one above.
      if (isList && child.type === 'ExpressionStatement' && this.#parens.has(child.start)) {
        this.#edit.prependLeft(child.start, ';');
      }
    }
  }

  /** Places where the value of an expression is not used. */
  #statement(node: AnyNode): void {
    const drop = (expression: AnyNode | null | undefined): void => {
      if (!expression) return;
      if (expression.type === 'UpdateExpression') this.#update(expression, true);
      else this.visit(expression);
    };
    if (node.type === 'ExpressionStatement') drop(node.expression);
    if (node.type !== 'ForStatement') return;
    if (node.init) this.visit(node.init);
    if (node.test) this.visit(node.test);
    drop(node.update);
    this.#body(node.body);
  }

  #body(node: AnyNode): void {
    if (node.type === 'ExpressionStatement' || node.type === 'ForStatement') this.#statement(node);
    else this.visit(node);
  }

  #skip(node: AnyNode, why: string): void {
    this.skipped.push({ start: node.start, why });
  }

  /** In front of a node: text of outer nodes comes first, since they are visited first. */
  #before(at: number, text: string): void {
    if (text.startsWith('(')) this.#parens.add(at);
    // `return[1]` must not become one word with the name of a helper.
    const glued = !text.startsWith('(') && /[\w$\u0080-\uffff]/.test(this.#source[at - 1] ?? '');
    this.#edit.appendLeft(at, glued ? ` ${text}` : text);
  }

  /** Behind a node: text of inner nodes comes first, since they are done first. */
  #after(at: number, text: string): void {
    this.#edit.appendLeft(at, text);
  }

  /** Replaces a range, keeping its line breaks. */
  #replace(start: number, end: number, text: string): void {
    const breaks = this.#source.slice(start, end).match(/\r\n|[\n\r\u2028\u2029]/g) ?? [];
    this.#edit.overwrite(start, end, text + breaks.join(''));
  }

  #site(node: AnyNode, kind: number): string {
    this.sites.push({ start: node.start, kind });
    return `${this.#prefix}${this.sites.length - 1}`;
  }

  #helper(name: string): string {
    return `${this.#prefix}${name}`;
  }

  #temporary(letter: string): string {
    const scope = this.#scope;
    const number = scope.own ? scope.depth : this.moduleNames.size;
    const name = `${this.#prefix}${scope.own ? '' : 'f'}${letter}${number}`;
    (scope.own ? scope.names : this.moduleNames).add(name);
    return name;
  }

  #key(node: MemberExpression, before: string, after: string, deeper: boolean): void {
    const key = node.property as AnyNode;
    const sequence = key.type === 'SequenceExpression';
    this.#edit.appendLeft(key.start, before + (sequence ? '(' : ''));
    if (deeper) this.#scope.depth++;
    this.visit(key);
    if (deeper) this.#scope.depth--;
    this.#after(key.end, (sequence ? ')' : '') + after);
  }

  /** `(o = object)`, or `object` where it can be named again as it is. */
  #object(node: MemberExpression, name: string): void {
    const object = node.object as AnyNode;
    if (name === '') {
      this.visit(object);
      return;
    }
    this.#before(object.start, `(${name}=`);
    this.visit(object);
    this.#after(object.end, ')');
  }

  #read(node: MemberExpression): void {
    const object = node.object as AnyNode;
    if (isStable(object)) {
      this.#key(node, `${this.#helper('r')}(${this.#text(object)},`, this.#endRead(node), false);
      return;
    }
    if (inShortCircuit(object)) {
      this.#skip(node, 'behind ?. in one chain');
      this.#children(node);
      return;
    }
    const name = this.#temporary('o');
    this.#object(node, name);
    this.#key(node, `${this.#helper('r')}(${name},`, this.#endRead(node), false);
  }

  #endRead(node: AnyNode): string {
    return `,${this.#site(node, SITE_READ)})`;
  }

  #text(node: AnyNode): string {
    return this.#source.slice(node.start, node.end);
  }

  /** Chooses how a reference that is used twice is named, or null where that is not safe. */
  #operands(node: MemberExpression, store: boolean): Operands | null {
    const object = node.object as AnyNode;
    const key = node.property as AnyNode;
    if (!this.#scope.own && runsCode(key)) {
      this.#skip(node, 'its key runs code, outside of a function body');
      return null;
    }
    const storesObject = store || !isStable(object);
    const storesKey = store || !isStable(key);
    return {
      object: storesObject ? this.#temporary('o') : this.#text(object),
      key: storesKey ? this.#temporary('k') : this.#text(key),
      storesObject,
      storesKey,
    };
  }

  /** Edits object and key of a reference that will be stored to. */
  #reference(node: MemberExpression, names: Operands): void {
    this.#object(node, names.storesObject ? names.object : '');
    this.#key(node, names.storesKey ? `${names.key}=` : '', '', true);
  }

  #assignment(node: AnyNode & { type: 'AssignmentExpression' }): void {
    const target = bare(node.left as AnyNode);
    if (node.operator === '=' && !isElement(target)) {
      this.#pattern(node.left as AnyNode);
      this.visit(node.right);
      return;
    }
    const logical = /^(\|\||&&|\?\?)=$/.test(node.operator);
    const names = isElement(target) ? this.#operands(target, logical) : null;
    if (names === null || !isElement(target)) {
      this.#children(isElement(target) ? target : (node.left as AnyNode));
      this.visit(node.right);
      return;
    }
    const { object, key } = names;
    if (logical) {
      this.#logical(node, target, names);
      return;
    }
    this.#reference(target, names);
    let text = `=${this.#helper('w')}(${object},${key},`;
    const compound = node.operator !== '=';
    if (compound) {
      const site = this.#site(target, SITE_READ);
      text += `${object}[${this.#helper('r')}(${object},${key},${site})]`;
      text += `${node.operator.slice(0, -1)}(`;
    }
    this.#replace((node.left as AnyNode).end, node.right.start, text);
    this.visit(node.right);
    this.#after(node.right.end, `${compound ? ')' : ''},${this.#site(target, SITE_WRITE)})`);
  }

  #logical(
    node: AnyNode & { type: 'AssignmentExpression' },
    target: MemberExpression,
    names: Operands,
  ): void {
    const { object, key } = names;
    this.#before(node.start, '(');
    this.#object(target, object);
    const site = this.#site(target, SITE_READ);
    this.#key(target, `${this.#helper('r')}(${object},${key}=`, `,${site})`, true);
    const store = `(${object}[${key}]=${this.#helper('w')}(${object},${key},`;
    this.#replace(
      (node.left as AnyNode).end,
      node.right.start,
      `${node.operator.slice(0, -1)}${store}`,
    );
    this.visit(node.right);
    this.#after(node.right.end, `,${this.#site(target, SITE_WRITE)})))`);
  }

  #update(node: AnyNode & { type: 'UpdateExpression' }, dropped: boolean): void {
    const argument = node.argument as AnyNode;
    const target = bare(argument);
    const names = isElement(target) ? this.#operands(target, false) : null;
    if (names === null || !isElement(target)) {
      this.#children(isElement(target) ? target : argument);
      return;
    }
    const { object, key } = names;
    const x = this.#temporary('x');
    const old = !node.prefix && !dropped ? this.#temporary('y') : '';
    this.#before(node.start, '(');
    if (node.prefix) this.#replace(node.start, argument.start, ' ');
    this.#reference(target, names);
    const from = this.#site(target, SITE_READ);
    const read = `${object}[${this.#helper('r')}(${object},${key},${from})]`;
    const change = old === '' ? `${node.operator}${x}` : `${old}=${x}${node.operator},${x}`;
    const site = this.#site(target, SITE_WRITE);
    const text = `=${this.#helper('w')}(${object},${key},(${x}=${read},${change}),${site})`;
    const end = `${text}${old === '' ? '' : `,${old}`})`;
    if (node.prefix) this.#after(node.end, end);
    else this.#replace(argument.end, node.end, end);
  }

  #unary(node: AnyNode & { type: 'UnaryExpression' }): void {
    const argument = bare(node.argument);
    // Deleting does not touch the element's bytes.
    if (node.operator === 'delete' && isElement(argument)) this.#children(argument);
    else this.visit(node.argument);
  }

  #call(node: AnyNode & { type: 'CallExpression' }): void {
    const callee = node.callee as AnyNode;
    const named =
      callee.type === 'MemberExpression' &&
      !callee.computed &&
      callee.property.type === 'Identifier' &&
      CALL_METHODS.has(callee.property.name);
    const last = node.arguments.at(-1) as AnyNode | undefined;
    if (!named || last?.type === 'SpreadElement') {
      this.#children(node);
      return;
    }
    if (last === undefined) {
      this.#callWithout(callee as MemberExpression);
      return;
    }
    this.visit(callee);
    for (const argument of node.arguments.slice(0, -1)) this.visit(argument as AnyNode);
    this.#before(last.start, `${this.#helper('a')}(`);
    this.visit(last);
    this.#after(last.end, `,${this.#site(node, SITE_CALL)})`);
  }

  /** A call without arguments: the site is noted when its object is evaluated. */
  #callWithout(callee: MemberExpression): void {
    const object = callee.object as AnyNode;
    if (object.type === 'Super' || inShortCircuit(object) || callee.optional) {
      this.visit(callee);
      return;
    }
    this.#before(object.start, `${this.#helper('a')}(`);
    this.visit(object);
    this.#after(object.end, `,${this.#site(callee, SITE_CALL)})`);
  }

  /** Runs `edit` with the temporaries of another scope. */
  #within(scope: Scope, edit: () => void): void {
    const outer = this.#scope;
    this.#scope = scope;
    edit();
    this.#scope = outer;
  }

  /** Code that has no body of its own to declare temporaries in. */
  #without(node: AnyNode): void {
    this.#within({ own: false, names: this.moduleNames, depth: 0 }, () =>
      node.type === 'StaticBlock' ? this.#children(node) : this.visit(node),
    );
  }

  #class(node: AnyNode & { type: 'ClassDeclaration' | 'ClassExpression' }): void {
    const strict = this.#strict;
    this.#strict = true;
    this.#children(node);
    this.#strict = strict;
  }

  #function(
    node: AnyNode & {
      type: 'FunctionDeclaration' | 'FunctionExpression' | 'ArrowFunctionExpression';
    },
  ): void {
    const strict = this.#strict;
    const body = node.body as AnyNode;
    const directives = body.type === 'BlockStatement' ? directivesOf(body.body) : [];
    if (directives.some((statement) => statement.directive === 'use strict')) this.#strict = true;
    this.#within({ own: false, names: this.moduleNames, depth: 0 }, () => {
      for (const param of node.params) this.#pattern(param as AnyNode);
    });
    const scope: Scope = { own: true, names: new Set(), depth: 0 };
    this.#within(scope, () => this.visit(body));
    if (scope.names.size > 0) {
      const declared = `var ${[...scope.names].join(',')};`;
      if (body.type === 'BlockStatement') {
        const at = directives.at(-1)?.end ?? body.start + 1;
        this.#edit.prependLeft(at, (directives.length > 0 ? ';' : '') + declared);
      } else {
        this.#edit.prependLeft(body.start, `{${declared}return `);
        this.#edit.appendLeft(body.end, '}');
      }
    }
    this.#strict = strict;
  }

  #forEach(node: AnyNode & { type: 'ForInStatement' | 'ForOfStatement' }): void {
    if (node.left.type === 'VariableDeclaration') this.visit(node.left);
    else this.#pattern(node.left as AnyNode);
    this.visit(node.right);
    this.#body(node.body);
  }

  /** What is assigned to by destructuring, a loop or a call. */
  #pattern(node: AnyNode): void {
    if (isElement(node)) {
      this.#target(node);
      return;
    }
    switch (node.type) {
      case 'ParenthesizedExpression':
        this.#pattern(node.expression);
        break;
      case 'AssignmentPattern':
        this.#pattern(node.left as AnyNode);
        this.visit(node.right);
        break;
      case 'RestElement':
        this.#pattern(node.argument as AnyNode);
        break;
      case 'ArrayPattern':
        for (const element of node.elements) if (element) this.#pattern(element as AnyNode);
        break;
      case 'ObjectPattern':
        for (const property of node.properties) {
          if (property.type === 'RestElement') this.#pattern(property);
          else {
            if (property.computed) this.visit(property.key as AnyNode);
            this.#pattern(property.value as AnyNode);
          }
        }
        break;
      default:
        this.visit(node);
        break;
    }
  }

  #target(node: MemberExpression): void {
    const object = node.object as AnyNode;
    const key = node.property as AnyNode;
    const helper = this.#helper(this.#strict ? 't' : 'l');
    this.#before(node.start, `${helper}(`);
    this.visit(object);
    this.#replace(object.end, key.start, key.type === 'SequenceExpression' ? ',(' : ',');
    this.visit(key);
    const close = key.type === 'SequenceExpression' ? ')' : '';
    this.#replace(key.end, node.end, `${close},${this.#site(node, SITE_WRITE)}).v`);
  }
}

interface Directive {
  readonly end: number;
  readonly directive: string;
}

/** The directives that a list of statements starts with. */
export function directivesOf(body: readonly AnyNode[]): Directive[] {
  const found: Directive[] = [];
  for (const statement of body) {
    if (statement.type !== 'ExpressionStatement' || statement.directive === undefined) break;
    found.push({ end: statement.end, directive: statement.directive });
  }
  return found;
}
