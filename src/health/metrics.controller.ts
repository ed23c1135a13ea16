import { Controller, Get, type OnModuleInit, Res } from '@nestjs/common';
import { ApiExcludeEndpoint } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { Gauge } from 'prom-client';

import { RequireRole } from '../access/roles.js';
import { errorFields, Logger } from '../common/logger.js';
import { metricName, Metrics } from '../common/metrics.js';
import { Readings } from './readings.js';

/** For Prometheus: what this process has counted, and how things stand in the database. */
@Controller('metrics')
export class MetricsController implements OnModuleInit {
  constructor(
    private readonly metrics: Metrics,
    private readonly readings: Readings,
    private readonly logger: Logger,
  ) {}

  onModuleInit(): void {
    for (const { name, help, labelNames, read } of this.readings.gauges()) {
      const { logger } = this;
      new Gauge({
        name: metricName(name),
        help,
        labelNames,
        registers: [this.metrics.registry],
        // A reading that fails leaves its gauge out; the others are told all the same.
        async collect() {
          this.reset();
          // Where there are no labels, that leaves a 0 behind, which is not the same as nothing.
          if (labelNames.length === 0) this.remove();
          try {
            for (const { labels, value } of await read()) this.set(labels, value);
          } catch (error) {
            logger.warn('metrics.not_read', { gauge: name, ...errorFields(error) });
          }
        },
      });
    }
  }

  @Get()
  @RequireRole('owner')
  @ApiExcludeEndpoint()
  async read(@Res() reply: FastifyReply): Promise<FastifyReply> {
    const text = await this.metrics.registry.metrics();
    return reply.header('content-type', this.metrics.registry.contentType).send(text);
  }
}
