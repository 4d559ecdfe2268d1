/** A first-in first-out queue that also takes items back at its front. All operations are constant time on average. */
export class RequestQueue<R> {
  /** Items from the front, the next one last. */
  #front: R[] = [];
  #back: R[] = [];
  #taken = 0;

  get length(): number {
    return this.#front.length + this.#back.length - this.#taken;
  }

  push(item: R): void {
    this.#back.push(item);
  }

  pushFront(item: R): void {
    this.#front.push(item);
  }

  peek(): R | undefined {
    return this.#front.length > 0 ? this.#front[this.#front.length - 1] : this.#back[this.#taken];
  }

  shift(): R | undefined {
    if (this.#front.length > 0) return this.#front.pop();
    if (this.#taken === this.#back.length) return undefined;
    const item = this.#back[this.#taken];
    this.#taken += 1;
    if (this.#taken > 64 && this.#taken * 2 > this.#back.length) {
      this.#back = this.#back.slice(this.#taken);
      this.#taken = 0;
    }
    return item;
  }

  /** Takes an item out wherever it is; false when it is not there. Linear. */
  remove(item: R): boolean {
    const inFront = this.#front.lastIndexOf(item);
    if (inFront >= 0) this.#front.splice(inFront, 1);
    const inBack = inFront >= 0 ? -1 : this.#back.indexOf(item, this.#taken);
    if (inBack >= 0) this.#back.splice(inBack, 1);
    return inFront >= 0 || inBack >= 0;
  }
}
