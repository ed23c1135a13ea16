/** What this process is there for. `main` answers requests; a `worker` does the work that Redis brings. */
export class ProcessRole {
  constructor(readonly name: 'main' | 'worker') {}
}
