# The service and the worker in one image / 服务与 worker 共用一个镜像
#
#   docker build -t wechat-channel .
#   docker run -d --env-file .env -p 3000:3000 -v channel-data:/app/data wechat-channel
#   docker run -d --env-file .env wechat-channel node --enable-source-maps dist/src/worker.js
#
# The first `run` keeps its SQLite database and its keys in the volume: back both up together. A worker
# needs MySQL. docker-compose.yml has everything in one place.
# 第一个 run 把 SQLite 数据库与密钥放在卷中，请一起备份；worker 需要 MySQL。完整部署见 docker-compose.yml。

FROM node:24-bookworm-slim AS build
WORKDIR /app
# For better-sqlite3, where npm has no prebuilt one for this machine.
RUN apt-get update \
  && apt-get install -y --no-install-recommends python3 make g++ \
  && rm -rf /var/lib/apt/lists/*
# Before the source, so that a change of the source does not install anew.
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY nest-cli.json tsconfig.json tsconfig.build.json ./
COPY config config
COPY libs libs
COPY src src
RUN npm run build
# npm passes over an optional dependency that it cannot build, without a word: better here than at the first start.
RUN npm prune --omit=dev --no-audit --no-fund \
  && node -e "new (require('better-sqlite3'))(':memory:').close()"

FROM node:24-bookworm-slim
ENV NODE_ENV=production \
  HOST=0.0.0.0 \
  PORT=3000
WORKDIR /app
# The code belongs to root and is only read; the service may write into data and nowhere else.
RUN install -d -o node -g node -m 700 data
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
USER node
VOLUME /app/data
EXPOSE 3000
STOPSIGNAL SIGTERM
# The start period leaves time for the migrations.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.PORT || 3000) + '/health/ready', { signal: AbortSignal.timeout(4000) }).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "--enable-source-maps", "dist/src/main.js"]
