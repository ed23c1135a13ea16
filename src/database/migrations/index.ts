import { CreateFirstTables1795478400000 } from './1795478400000-create-first-tables.js';
import { CreateSpine1795564800000 } from './1795564800000-create-spine.js';

/** In the order they run. A migration that has landed is never edited. */
export const migrations = [CreateFirstTables1795478400000, CreateSpine1795564800000];
