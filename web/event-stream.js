// Server-sent events from bytes: the parser of WHATWG HTML, "Interpreting an event stream".
// EventSource cannot send a token in a header, cannot say which status it was refused with, and gives up
// its place when it is made anew: so the client reads the stream itself.

/** Longest event that is read, in characters: a hundred times a JSON block of 1024 frames. */
const LONGEST_EVENT = 4 * 1024 * 1024;

/**
 * @typedef {object} StreamEvent
 * @property {string} type `message` where the stream names none
 * @property {string} data
 * @property {string} lastEventId the newest id up to and with this event
 */

/** Takes text as it comes and gives the events that are complete. */
export class EventStreamParser {
  #rest = '';
  #skipLineFeed = false;
  #begun = false;
  #type = '';
  /** @type {string[]} */
  #data = [];
  #length = 0;

  /** @param {string} lastEventId where the stream is resumed */
  constructor(lastEventId = '') {
    this.lastEventId = lastEventId;
  }

  /**
   * @param {string} text the next piece, cut anywhere
   * @returns {StreamEvent[]}
   */
  push(text) {
    const events = [];
    for (const line of this.#lines(text)) {
      const event = line === '' ? this.#dispatch() : this.#field(line);
      if (event) events.push(event);
    }
    return events;
  }

  *#lines(text) {
    if (text === '') return;
    if (!this.#begun && text.startsWith('\uFEFF')) text = text.slice(1);
    this.#begun = true;
    // A line may end with CR LF, and the two may come in different pieces.
    if (this.#skipLineFeed && text.startsWith('\n')) text = text.slice(1);
    this.#skipLineFeed = text === '' ? false : text.endsWith('\r');
    const end = /\r\n|\n|\r/g;
    let from = 0;
    for (let found = end.exec(text); found; found = end.exec(text)) {
      const line = this.#rest + text.slice(from, found.index);
      this.#rest = '';
      from = end.lastIndex;
      yield line;
    }
    this.#rest += text.slice(from);
    if (this.#rest.length > LONGEST_EVENT) throw new RangeError('an event of the stream is too long');
  }

  /** @returns {undefined} */
  #field(line) {
    const colon = line.indexOf(':');
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (name === 'event') this.#type = value;
    else if (name === 'id' && !value.includes('\0')) this.lastEventId = value;
    else if (name === 'data') {
      this.#length += value.length;
      if (this.#length > LONGEST_EVENT) throw new RangeError('an event of the stream is too long');
      this.#data.push(value);
    }
    // `retry` is for EventSource: this client's own delays double, the founding way. Comments are nothing.
  }

  #dispatch() {
    const event = { type: this.#type || 'message', data: this.#data.join('\n'), lastEventId: this.lastEventId };
    const isEmpty = this.#data.length === 0;
    this.#type = '';
    this.#data = [];
    this.#length = 0;
    return isEmpty ? undefined : event;
  }
}
