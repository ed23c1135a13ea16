import { ProcessRole } from './common/process-role.js';
import { runService } from './run-service.js';

/** Does the work and nothing else. Answers /health and /metrics on PORT, for its supervisor. */
await runService(new ProcessRole('worker'));
